"""A run as the Jobs API returns it: in the old shape (``state``), the new (``status``) or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.cloud.workspace.run import Attempt, End, Run

_NEW_STATES: Mapping[str, str] = {
    "WAITING_FOR_RETRY": "WAITING",
    "SKIPPED": "TERMINATED",
    "INTERNAL_ERROR": "TERMINATED",
}
"""Where the new shape has another word."""

_CODES: Mapping[str, str] = {
    "FAILED": "RUN_EXECUTION_ERROR",
    "CANCELED": "USER_CANCELED",
    "TIMEDOUT": "CANCELED",
    "MAXIMUM_CONCURRENT_RUNS_REACHED": "MAX_CONCURRENT_RUNS_EXCEEDED",
    "UPSTREAM_FAILED": "SKIPPED",
    "UPSTREAM_CANCELED": "SKIPPED",
    "EXCLUDED": "SKIPPED",
}


def run_document(run: Run, attempt: Attempt | None, url: str, shapes: str) -> dict[str, Any]:
    """Describe the run, or one attempt at its task where ``attempt`` is one."""
    own = run.id if attempt is None else attempt.id
    return {
        "job_id": run.job.id,
        "run_id": own,
        "run_name": run.job.name,
        "run_page_url": f"{url}/?o=1#job/{run.job.id}/run/{own}",
        "start_time": int(run.created * 1_000),
        "end_time": int(run.ended_at * 1_000),
        "effective_performance_target": run.performance,
        "job_parameters": [
            {"name": name, "default": run.job.parameters.get(name, ""), "value": value}
            for name, value in run.parameters.items()
        ],
        **_state(_of(run, attempt), run, shapes),
        **({} if attempt else {"tasks": [_task(run, each, shapes) for each in run.attempts]}),
    }


def run_output(run: Run, attempt: Attempt, url: str, shapes: str) -> dict[str, Any]:
    """Describe what an attempt gave: what it said, and why it failed where it did."""
    given: dict[str, Any] = {
        "metadata": run_document(run, attempt, url, shapes),
        "logs": attempt.logs,
    }
    return given | ({"error": attempt.error} if attempt.error else {})


def _task(run: Run, attempt: Attempt, shapes: str) -> dict[str, Any]:
    return {
        "run_id": attempt.id,
        "task_key": run.job.name,
        "attempt_number": attempt.number,
        "start_time": int((attempt.started or run.created) * 1_000),
        "setup_duration": 0,
        "end_time": int(run.ended_at * 1_000),
        **_state(_of(run, attempt), run, shapes),
    }


def _of(run: Run, attempt: Attempt | None) -> End:
    if attempt is not None and attempt.end is not None:
        return attempt.end
    return End(run.state, run.result, run.message)


def _state(seen: End, run: Run, shapes: str) -> dict[str, Any]:
    old: dict[str, Any] = {"life_cycle_state": seen.state, "state_message": seen.message}
    if seen.result:
        old["result_state"] = seen.result
    new: dict[str, Any] = {"state": _NEW_STATES.get(seen.state, seen.state)}
    if new["state"] == "TERMINATED":
        code = seen.state if seen.state != "TERMINATED" else _CODES.get(seen.result, seen.result)
        kind = {"SUCCESS": "SUCCESS", "INTERNAL_ERROR": "INTERNAL_ERROR"}.get(code, "CLIENT_ERROR")
        new["termination_details"] = {"code": code, "type": kind, "message": seen.message}
    return {
        **({"state": old} if shapes != "new" else {}),
        **({"status": new} if shapes != "old" else {}),
    }
