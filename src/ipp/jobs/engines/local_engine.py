"""The engine of one machine: runs are rows, and workers on it run them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ipp.jobs.engines.engine import RunNotFoundError, RunState
from ipp.jobs.engines.run_table import RunTable


class LocalEngine:
    """`Engine` over the file at ``path``, from which any number of `ipp.jobs.engines.stage_worker.StageWorker` take their runs.

    Any number of processes and threads may use one file at once. ``clock`` gives epoch seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._runs = RunTable(path)
        self._clock = clock

    def submit_stage(self, stage: str, job_id: str, token: str) -> str:
        """Store a run for a worker to take and give its id; the same token gives the same run again.

        Raises `UnavailableError` where it is not known whether it was stored.
        """
        return self._runs.add_run(token, stage, job_id, self._clock())

    def run_state(self, run_id: str) -> RunState:
        """How the run stands. Raises `UnavailableError`, or `RunNotFoundError` where there is no such run."""
        state = self._runs.get_run(run_id)
        if state is None:
            raise RunNotFoundError(
                f"No existe la ejecución {run_id}.", hint="Empiece el proceso otra vez."
            )
        return state

    def cancel_run(self, run_id: str) -> None:
        """Stop the run and whatever it started, as soon as its worker hears of it.

        A run that has ended stays as it is, and where there is none, nothing is to be stopped. Raises
        `UnavailableError`.
        """
        self._runs.cancel_run(run_id, self._clock())
