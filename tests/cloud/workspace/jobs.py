"""The Jobs API 2.2: run-now, runs/get, runs/get-output, runs/cancel."""

from __future__ import annotations

from collections.abc import Sequence

from tests.cloud.workspace.definition import Definition
from tests.cloud.workspace.route import Answer, Call, Route, build_route, error_answer
from tests.cloud.workspace.scheduler import Scheduler
from tests.cloud.workspace.shape import run_document, run_output

_LONGEST_TOKEN = 64
_PERFORMANCE_TARGETS = frozenset({"STANDARD", "PERFORMANCE_OPTIMIZED"})


class JobsApi:
    """The jobs of ``definition``, run by ``scheduler``; ``url`` is where the workspace is."""

    def __init__(self, definition: Definition, scheduler: Scheduler, url: str) -> None:
        self._jobs = {job.id: job for job in definition.jobs}
        self._shapes = definition.shapes
        self._scheduler = scheduler
        self._url = url

    def routes(self) -> Sequence[Route]:
        jobs = r"/api/2\.2/jobs"
        return (
            build_route("POST", f"{jobs}/run-now", self.run_now),
            build_route("GET", f"{jobs}/runs/get", self.get),
            build_route("GET", f"{jobs}/runs/get-output", self.get_output),
            build_route("POST", f"{jobs}/runs/cancel", self.cancel),
        )

    def run_now(self, call: Call) -> Answer:
        token = call.body.get("idempotency_token") or ""
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
            return error_answer(
                400,
                "INVALID_PARAMETER_VALUE",
                "The idempotency token must have at most 64 characters.",
            )
        parameters = call.body.get("job_parameters") or {}
        if not isinstance(parameters, dict) or not all(
            isinstance(value, str) for value in parameters.values()
        ):
            return error_answer(400, "MALFORMED_REQUEST", "job_parameters is a map of strings.")
        number = _number(call.body.get("job_id"))
        if number is None:
            return error_answer(400, "MALFORMED_REQUEST", "job_id is a number.")
        if number not in self._jobs:
            return error_answer(400, "INVALID_PARAMETER_VALUE", f"Job {number} does not exist.")
        job = self._jobs[number]
        performance = call.body.get("performance_target", job.performance)
        if performance not in _PERFORMANCE_TARGETS:
            return error_answer(
                400, "INVALID_PARAMETER_VALUE", f"{performance} is no performance target."
            )
        run_id = self._scheduler.start(job, parameters, token, performance)
        return 200, {"run_id": run_id, "number_in_job": run_id}

    def get(self, call: Call) -> Answer:
        number = _number(call.query.get("run_id"))
        found = None if number is None else self._scheduler.look(number)
        return (
            _unknown(call.query.get("run_id"))
            if found is None
            else (200, run_document(*found, self._url, self._shapes))
        )

    def get_output(self, call: Call) -> Answer:
        number = _number(call.query.get("run_id"))
        found = None if number is None else self._scheduler.look(number)
        run, attempt = found or (None, None)
        if run is None or attempt is None:
            return _unknown(call.query.get("run_id"))
        return 200, run_output(run, attempt, self._url, self._shapes)

    def cancel(self, call: Call) -> Answer:
        number = _number(call.body.get("run_id"))
        known = number is not None and self._scheduler.cancel(number)
        return (200, {}) if known else _unknown(call.body.get("run_id"))


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() else None


def _unknown(run_id: object) -> Answer:
    return error_answer(400, "INVALID_PARAMETER_VALUE", f"Run {run_id} does not exist.")
