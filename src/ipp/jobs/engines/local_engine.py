"""The engine of one machine: runs are rows of a table, and workers execute them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from ipp.jobs.engines.engine import Engine, RunNotFoundError, RunState
from ipp.jobs.engines.run_table import RunTable


class LocalEngine(Engine):
    """An `Engine` over the file at ``path``, from which workers take their runs.

    A worker is an `ipp.jobs.engines.stage_worker.StageWorker`. Any number of processes and threads
    may use one file at once. ``clock`` returns epoch seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._runs = RunTable(path)
        self._clock = clock

    @override
    def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
        del counters  # A process starts at once.
        return self._runs.add_run(token, stage, job_id, self._clock())

    @override
    def run_state(self, run_id: str) -> RunState:
        state = self._runs.get_run(run_id)
        if state is None:
            raise RunNotFoundError(
                f"No existe la ejecución {run_id}.", hint="Empiece el proceso otra vez."
            )
        return state

    @override
    def cancel_run(self, run_id: str) -> None:
        # The run stops at its worker's next heartbeat.
        self._runs.cancel_run(run_id, self._clock())
