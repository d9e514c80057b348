"""``python -m ipp.entrypoints.stage STAGE JOB_ID [RUN_ID CLAIM RUNS]``: run one stage.

With a worker's claim of a run in the file RUNS, nothing is written once another took the run over.
Progress goes to stderr as JSON lines, an error as ``Error: …`` in Spanish; the exit statuses are
those of `exit_status`.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ipp.entrypoints.exit_status import DONE, report_error
from ipp.errors import InvalidInputError, is_temporary
from ipp.jobs.engines.child_process import die_with_parent
from ipp.jobs.engines.engine import TEMPORARY_STATUS


def main() -> None:
    """Run the stage named by the arguments and exit with its status."""
    die_with_parent()
    # Exit by exception on SIGTERM, so that open files and context managers are closed.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one stage of one job and return its exit status; errors go to stderr, in Spanish."""
    try:
        _run_stage(arguments)
    except SystemExit:
        raise
    except BaseException as error:
        status = report_error(error)
        return TEMPORARY_STATUS if is_temporary(error) else status
    return DONE


def _run_stage(arguments: list[str]) -> None:
    # Importing these takes most of a second, so it happens after `die_with_parent`.
    from ipp import console  # noqa: PLC0415  # slow: after `die_with_parent`
    from ipp.entrypoints.application import open_application  # noqa: PLC0415  # slow: after `die_with_parent`
    from ipp.entrypoints.job_driver import compute_run  # noqa: PLC0415  # slow: after `die_with_parent`
    from ipp.jobs.engines.run_fence import RunFence  # noqa: PLC0415  # slow: after `die_with_parent`
    from ipp.jobs.job import Stage  # noqa: PLC0415  # slow: after `die_with_parent`

    if len(arguments) not in {2, 5}:
        raise InvalidInputError(
            "Hacen falta una etapa y un job_id.",
            hint="python -m ipp.entrypoints.stage ETAPA JOB_ID [EJECUCIÓN NÚMERO ARCHIVO]",
        )
    name, job_id, *claim = arguments
    if name not in set(Stage):
        raise InvalidInputError(f"No existe la etapa {name}.", hint=f"Son {', '.join(Stage)}.")
    app = open_application()
    runner, run_id = app.runner, ""
    if claim:
        run_id, number, runs = claim
        fence = RunFence(Path(runs), run_id, int(number))
        fence.register_process()
        runner = app.fenced_runner(fence)
    with console.progress_reporter() as report:
        compute_run(runner, Stage(name), job_id, run_id, report)


if __name__ == "__main__":
    main()
