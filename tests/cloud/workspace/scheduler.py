"""Runs: one per idempotency token, as many at once as their job admits, each a real process."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cloud.workspace.definition import Definition, JobDefinition
from tests.cloud.workspace.run import Attempt, End, Plan, Run, Wait
from tests.cloud.workspace.task import TaskProcess, entry_point

if TYPE_CHECKING:
    from tests.cloud.workspace.volume import ExternalVolumes

_LOG = logging.getLogger("workspace")

_TICK = 0.02
_FIRST_RUN = 1_000_001
_FAILED = "Workload failed, see run output for details"
_OWN = ("AWS_", "DATABRICKS_", "IPP_")


class Scheduler:
    """The runs of a workspace. One may be used by many threads."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._folder = Path(definition.folder) / "runs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._volumes = _volumes(definition)
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith(_OWN)} | dict(
            definition.environ
        )
        self._changed = threading.Condition()
        self._runs: dict[int, Run] = {}
        self._tokens: dict[str, int] = {}
        self._plans: list[Plan] = []
        self._ids = itertools.count(_FIRST_RUN)
        self._held = False
        self._closing = False
        self._threads: list[threading.Thread] = []

    def start(
        self, job: JobDefinition, parameters: Mapping[str, str], token: str, performance: str
    ) -> int:
        """The id of a run for ``token``, begun unless there is one."""
        with self._changed:
            if token and token in self._tokens:
                return self._tokens[token]
            run = Run(
                id=next(self._ids),
                job=job,
                parameters={**job.parameters, **parameters},
                token=token,
                plan=Plan(),
                attempts=[Attempt(next(self._ids), 0)],
                performance=performance,
            )
            run.plan = self._planned(run)
            self._runs[run.id] = run
            if token:
                self._tokens[token] = run.id
            self._admit()
            return run.id

    def look(self, run_id: int) -> tuple[Run, Attempt | None] | None:
        """Return a copy of the run, and the attempt that the id names, if any; counts as a look."""
        with self._changed:
            found = self._found(run_id)
            if found is None:
                return None
            run, attempt = found
            seen = replace(run, attempts=[replace(each) for each in run.attempts])
            run.looks += 1
            self._changed.notify_all()
            return seen, None if attempt is None else seen.attempts[attempt.number]

    def all(self) -> list[Run]:
        """Copies of every run, the oldest first."""
        with self._changed:
            return [
                replace(run, attempts=[replace(each) for each in run.attempts])
                for run in self._runs.values()
            ]

    def cancel(self, run_id: int) -> bool:
        """Stop a run that has not ended; False where there is none."""
        with self._changed:
            found = self._found(run_id)
            if found is None:
                return False
            run = found[0]
            if not run.ended and not run.stopping:
                run.stopping = "CANCELED"
                if run.admitted:
                    run.state = "TERMINATING"
                else:
                    self._end(run, End("TERMINATED", "CANCELED", "Run cancelled."))
                self._changed.notify_all()
            return True

    def plan(self, plans: list[Plan]) -> None:
        """Have the runs to come do as the plans say, the first that fits first."""
        with self._changed:
            self._plans.extend(plans)

    def hold(self, held: bool) -> None:
        """Let no run begin while ``held``."""
        with self._changed:
            self._held = held
            self._admit()

    def close(self) -> None:
        """End every run and wait for its process."""
        with self._changed:
            self._closing = True
            for run in self._runs.values():
                run.stopping = run.stopping or "CANCELED"
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self._definition.grace + 5.0)

    def _found(self, run_id: int) -> tuple[Run, Attempt | None] | None:
        if run_id in self._runs:
            return self._runs[run_id], None
        for run in self._runs.values():
            for attempt in run.attempts:
                if attempt.id == run_id:
                    return run, attempt
        return None

    def _planned(self, run: Run) -> Plan:
        for place, plan in enumerate(self._plans):
            if plan.job in {0, run.job.id} and plan.job_id in {"", run.job_id}:
                self._plans[place : place + 1] = (
                    [replace(plan, times=plan.times - 1)] if plan.times > 1 else []
                )
                return plan
        return Plan()

    def _admit(self) -> None:
        """Begin the runs that wait and for which there is room, the oldest first."""
        if self._held or self._closing:
            return
        active = Counter(
            run.job.id for run in self._runs.values() if run.admitted and not run.ended
        )
        for run in list(self._runs.values()):
            if run.admitted or run.ended:
                continue
            if active[run.job.id] < run.job.max_concurrent_runs:
                active[run.job.id] += 1
                run.admitted = True
                run.state = "PENDING"
                thread = threading.Thread(
                    target=self._live, args=(run,), name=f"run-{run.id}", daemon=True
                )
                self._threads = [other for other in self._threads if other.is_alive()] + [thread]
                thread.start()
            else:
                run.state = "QUEUED"

    def _end(self, run: Run, end: End) -> None:
        run.state, run.result, run.message = end.state, end.result, end.message
        run.ended_at = time.time()
        last = run.attempts[-1]
        if last.end is None:
            last.end = end
        self._changed.notify_all()

    def _live(self, run: Run) -> None:
        """See a run through, from its admission to its end."""
        try:
            for wait in run.plan.waits:
                self._wait(run, wait)
            end = self._work(run) if run.plan.runs else _untouched(run)
        except Exception as error:
            _LOG.exception("run %d", run.id)
            end = End("INTERNAL_ERROR", "FAILED", f"{type(error).__name__}: {error}")
        with self._changed:
            self._end(run, end if run.stopping or run.plan.end is None else run.plan.end)
            self._admit()

    def _wait(self, run: Run, wait: Wait) -> None:
        until = time.monotonic() + wait.seconds
        with self._changed:
            if run.stopping:
                return
            run.state, run.looks = wait.state, 0
            while not run.stops() and (run.looks < wait.looks or time.monotonic() < until):
                self._changed.wait(_TICK)

    def _work(self, run: Run) -> End:
        """Run the task's process, again where it fails and the job says so."""
        end = End("TERMINATED", "FAILED")
        for number in range(run.job.max_retries + 1):
            with self._changed:
                if number:
                    run.attempts[-1].end = end
                    run.attempts.append(Attempt(next(self._ids), number))
            if number:
                self._wait(run, Wait("WAITING_FOR_RETRY", looks=0, seconds=run.job.retry_wait))
            end = self._try(run, run.attempts[-1])
            if end.result != "FAILED":
                return end
        return replace(end, message=f"Task {run.job.name} failed with message: {end.message}.")

    def _try(self, run: Run, attempt: Attempt) -> End:
        with self._mounted(run.job_id):
            with self._changed:
                if run.stopping:
                    return _stopped(run)
                run.state = "RUNNING"
                run.starts += 1
                attempt.started = time.time()
            process = TaskProcess(self._command(run), self._environ, self._folder / f"{attempt.id}")
            self._see_through(run, process)
        with self._changed:
            attempt.logs = process.logs()
            if process.status == 0:
                return End("TERMINATED", "SUCCESS")
            if run.stops():
                return _stopped(run)
            attempt.error = process.error()
            return End("TERMINATED", "FAILED", _FAILED)

    def _see_through(self, run: Run, process: TaskProcess) -> None:
        """Wait for the process to end; end it where it is to be stopped."""
        while not process.ended(_TICK):
            if run.stopping:
                process.stop(self._definition.grace)
        process.close()

    def _command(self, run: Run) -> list[str]:
        if run.job.command:
            return [word.replace("{job_id}", run.job_id) for word in run.job.command]
        return entry_point(run.job.entry_point, run.job.arguments(run.parameters, run.id))

    def _mounted(self, job_id: str) -> AbstractContextManager[None]:
        return self._volumes.mounted(job_id) if self._volumes else nullcontext()


def _volumes(definition: Definition) -> ExternalVolumes | None:
    if definition.volumes is None:
        return None
    from tests.cloud.workspace.volume import ExternalVolumes

    return ExternalVolumes(definition.volumes)


def _untouched(run: Run) -> End:
    """How a run ends whose process never is to start."""
    return _stopped(run) if run.stopping else End("TERMINATED", "SUCCESS")


def _stopped(run: Run) -> End:
    return End("TERMINATED", run.stopping, "Run cancelled.")
