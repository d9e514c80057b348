"""A run as the Jobs API returns it: in the old shape (``state``), the new (``status``) or both."""

from __future__ import annotations

import time
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


def document(run: Run, attempt: Attempt | None, url: str, shapes: str) -> dict[str, Any]:
    """The run, or one attempt at its task where ``attempt`` is one."""
    own = run.id if attempt is None else attempt.id
    ended = int(run.ended_at * 1_000)
    return {
        "job_id": run.job.id,
        "run_id": own,
        "job_run_id": run.id,
        "number_in_job": own,
        "original_attempt_run_id": own if attempt is None else run.attempts[0].id,
        "creator_user_name": "ipp@invenadro.example",
        "run_name": run.job.name,
        "run_type": "JOB_RUN",
        "run_page_url": f"{url}/?o=1#job/{run.job.id}/run/{own}",
        "format": "MULTI_TASK",
        "trigger": "ONE_TIME",
        "start_time": int(run.created * 1_000),
        "end_time": ended,
        "run_duration": (ended or int(time.time() * 1_000)) - int(run.created * 1_000),
        "job_parameters": [
            {"name": name, "default": run.job.parameters.get(name, ""), "value": value}
            for name, value in run.parameters.items()
        ],
        **_state(_of(run, attempt), run, shapes),
        **({} if attempt else {"tasks": [_task(run, each, url, shapes) for each in run.attempts]}),
    }


def output(run: Run, attempt: Attempt, url: str, shapes: str) -> dict[str, Any]:
    """What an attempt gave: what it said, and why it failed where it did."""
    given: dict[str, Any] = {"metadata": document(run, attempt, url, shapes), "logs": attempt.logs}
    if attempt.error:
        given |= {"error": attempt.error, "error_trace": attempt.logs}
    return given | {"logs_truncated": False}


def _task(run: Run, attempt: Attempt, url: str, shapes: str) -> dict[str, Any]:
    return {
        "run_id": attempt.id,
        "task_key": run.job.name,
        "attempt_number": attempt.number,
        "run_page_url": f"{url}/?o=1#job/{run.job.id}/run/{attempt.id}",
        "python_wheel_task": {
            "package_name": "ipp",
            "entry_point": run.job.entry_point,
            "named_parameters": dict(run.job.named_parameters),
        },
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
    old["user_cancelled_or_timedout"] = bool(run.stopping)
    new: dict[str, Any] = {"state": _NEW_STATES.get(seen.state, seen.state)}
    if seen.state == "QUEUED":
        old["queue_reason"] = message = "The run waits for another of its job."
        new["queue_details"] = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": message}
    if new["state"] == "TERMINATED":
        code = seen.state if seen.state != "TERMINATED" else _CODES.get(seen.result, seen.result)
        kind = {"SUCCESS": "SUCCESS", "INTERNAL_ERROR": "INTERNAL_ERROR"}.get(code, "CLIENT_ERROR")
        new["termination_details"] = {"code": code, "type": kind, "message": seen.message}
    return {
        **({"state": old} if shapes != "new" else {}),
        **({"status": new} if shapes != "old" else {}),
    }
