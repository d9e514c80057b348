"""The engine of a Databricks workspace: each stage is a Databricks job with its own runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from typing_extensions import override

from ipp.cloud.databricks.client import DatabricksClient, DatabricksRefusedError
from ipp.errors import UnavailableError
from ipp.jobs.engines.engine import Engine, RunNotFoundError, RunOutcome, RunState
from ipp.settings import DatabricksSettings

_JOBS_PATH: Final = "/api/2.2/jobs"

_LEGACY_STATES: Final[Mapping[str, str]] = {"WAITING": "WAITING_FOR_RETRY"}
"""States of the Jobs API's newer ``status`` field, by the word of its older ``state`` field."""

_ERROR_PREFIX_PATTERN: Final = re.compile(r"^ipp\.[\w.]+: ")
"""The class name that Python writes before the message of our errors; people need not see it."""

FAST_START_COUNTERS: Final = 500
"""Most mostradores of a stage that starts within seconds, at a higher price per second.

Larger ones run in the mode of their Databricks job: they compute for longer than they start.
"""

_MAX_MESSAGE_CHARACTERS: Final = 2_000
"""Maximum length of a failed run's message; the rest is cut off."""


class DatabricksEngine(Engine):
    """An `Engine` over the Databricks jobs in ``settings``; a run's id is the workspace's own.

    ``clock`` returns epoch seconds.
    """

    def __init__(
        self,
        client: DatabricksClient,
        settings: DatabricksSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._clock = clock
        self._jobs: Mapping[str, str] = {
            "normalizador": settings.normaliser_job,
            "factor": settings.factor_job,
            "publicacion": settings.publication_job,
        }

    @override
    def submit_stage(self, stage: str, job_id: str, token: str, counters: int = 1) -> str:
        body: dict[str, Any] = {
            "job_id": self._workspace_job_id(stage),
            "idempotency_token": token,
            "job_parameters": {"job_id": job_id},
        }
        if counters <= FAST_START_COUNTERS:
            body["performance_target"] = "PERFORMANCE_OPTIMIZED"
        answer = self._client.post(f"{_JOBS_PATH}/run-now", body, safe=True)
        if "run_id" not in answer:
            raise UnavailableError("Databricks no dijo qué ejecución inició.")
        return str(answer["run_id"])

    @override
    def run_state(self, run_id: str) -> RunState:
        try:
            run = self._client.get(f"{_JOBS_PATH}/runs/get", run_id=run_id)
        except DatabricksRefusedError as refusal:
            if refusal.status in {400, 404}:
                raise RunNotFoundError(
                    f"No existe la ejecución {run_id}.", hint="Empiece el proceso otra vez."
                ) from None
            raise
        state, result, message = _read_run_state(run)
        ran = _seconds_running(run, self._clock())
        run_state = RunState(state, result, message, str(run.get("run_page_url", "")), ran=ran)
        if run_state.outcome is not RunOutcome.FAILED:
            return run_state
        cause = (self._task_error(run) or message)[:_MAX_MESSAGE_CHARACTERS]
        return RunState(state, result, cause, run_state.url)

    @override
    def cancel_run(self, run_id: str) -> None:
        try:
            self._client.post(f"{_JOBS_PATH}/runs/cancel", {"run_id": int(run_id)}, safe=True)
        except (DatabricksRefusedError, ValueError):
            return

    def _workspace_job_id(self, stage: str) -> int:
        number = self._jobs[stage]
        if not number.isdecimal():
            raise DatabricksRefusedError(
                400, "INVALID_PARAMETER_VALUE", f"{number!r} no es el número de un job."
            )
        return int(number)

    def _task_error(self, run: Mapping[str, Any]) -> str:
        """Return the failed task's error message, or an empty string if it cannot be read."""
        last = _last_attempt(run)
        if "run_id" not in last:
            return ""
        try:
            output = self._client.get(f"{_JOBS_PATH}/runs/get-output", run_id=str(last["run_id"]))
        except (UnavailableError, DatabricksRefusedError):
            return ""
        return _ERROR_PREFIX_PATTERN.sub("", " ".join(str(output.get("error", "")).split()))


def _last_attempt(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last attempt at the run's only task, itself a run; empty if there is none."""
    tasks = run.get("tasks") or [{}]
    return max(tasks, key=lambda task: int(task.get("attempt_number") or 0))


def _seconds_running(run: Mapping[str, Any], now: float) -> float:
    """Return the seconds the last attempt has run; 0 while it is queued or its machine starts."""
    attempt = _last_attempt(run)
    start = int(attempt.get("start_time") or 0)
    if (
        _read_run_state(run)[0] != "RUNNING"
        or _read_run_state(attempt)[0] != "RUNNING"
        or not start
    ):
        return 0.0
    return max(now - (start + int(attempt.get("setup_duration") or 0)) / 1_000, 0.0)


def _read_run_state(run: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return a run's state, result and message, from its ``state`` (older) or ``status`` field."""
    old, new = run.get("state") or {}, run.get("status") or {}
    if "life_cycle_state" in old:
        return (
            str(old["life_cycle_state"]),
            str(old.get("result_state", "")),
            str(old.get("state_message", "")),
        )
    details, word = new.get("termination_details") or {}, str(new.get("state", ""))
    return (
        _LEGACY_STATES.get(word, word),
        str(details.get("code", "")),
        str(details.get("message", "")),
    )
