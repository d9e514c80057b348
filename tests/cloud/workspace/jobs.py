"""The Jobs API: run-now, runs/get, runs/get-output, runs/cancel, runs/list, in 2.1 and 2.2."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.cloud.workspace.definition import Definition
from tests.cloud.workspace.route import Answer, Route, refusal, route
from tests.cloud.workspace.scheduler import Scheduler
from tests.cloud.workspace.shape import document, output

_LONGEST_TOKEN = 64
_PAGE = 25


class JobsApi:
    """The jobs of ``definition``, run by ``scheduler``; ``url`` is where the workspace is."""

    def __init__(self, definition: Definition, scheduler: Scheduler, url: str) -> None:
        self._jobs = {job.id: job for job in definition.jobs}
        self._shapes = definition.shapes
        self._scheduler = scheduler
        self._url = url

    def routes(self) -> Sequence[Route]:
        jobs = r"/api/2\.[12]/jobs"
        return (
            route("POST", f"{jobs}/run-now", self.run_now),
            route("GET", f"{jobs}/runs/get", self.get),
            route("GET", f"{jobs}/runs/get-output", self.get_output),
            route("POST", f"{jobs}/runs/cancel", self.cancel),
            route("GET", f"{jobs}/runs/list", self.list),
        )

    def run_now(
        self, _match: re.Match[str], _query: Mapping[str, str], body: Mapping[str, Any]
    ) -> Answer:
        token = body.get("idempotency_token") or ""
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
            return refusal(
                400,
                "INVALID_PARAMETER_VALUE",
                "The idempotency token must have at most 64 characters.",
            )
        parameters = body.get("job_parameters") or {}
        if not isinstance(parameters, dict) or not all(
            isinstance(value, str) for value in parameters.values()
        ):
            return refusal(400, "MALFORMED_REQUEST", "job_parameters is a map of strings.")
        number = _number(body.get("job_id"))
        if number is None:
            return refusal(400, "MALFORMED_REQUEST", "job_id is a number.")
        if number not in self._jobs:
            return refusal(400, "INVALID_PARAMETER_VALUE", f"Job {number} does not exist.")
        run_id = self._scheduler.start(self._jobs[number], parameters, token)
        return 200, {"run_id": run_id, "number_in_job": run_id}

    def get(
        self, _match: re.Match[str], query: Mapping[str, str], _body: Mapping[str, Any]
    ) -> Answer:
        number = _number(query.get("run_id"))
        found = None if number is None else self._scheduler.look(number)
        return (
            _unknown(query.get("run_id"))
            if found is None
            else (200, document(*found, self._url, self._shapes))
        )

    def get_output(
        self, _match: re.Match[str], query: Mapping[str, str], _body: Mapping[str, Any]
    ) -> Answer:
        number = _number(query.get("run_id"))
        found = None if number is None else self._scheduler.look(number)
        if found is None:
            return _unknown(query.get("run_id"))
        run, attempt = found
        if attempt is None:
            said = (
                "Retrieving the output of runs with multiple tasks is not supported:"
                " ask for each task's run."
            )
            return refusal(400, "INVALID_PARAMETER_VALUE", said)
        return 200, output(run, attempt, self._url, self._shapes)

    def cancel(
        self, _match: re.Match[str], _query: Mapping[str, str], body: Mapping[str, Any]
    ) -> Answer:
        number = _number(body.get("run_id"))
        known = number is not None and self._scheduler.cancel(number)
        return (200, {}) if known else _unknown(body.get("run_id"))

    def list(
        self, _match: re.Match[str], query: Mapping[str, str], _body: Mapping[str, Any]
    ) -> Answer:
        runs = [
            run
            for run in reversed(self._scheduler.all())
            if query.get("job_id") in {None, str(run.job.id)}
            and not (query.get("active_only") == "true" and run.ended)
            and not (query.get("completed_only") == "true" and not run.ended)
        ]
        start, size = (
            int(query.get("page_token") or 0),
            min(int(query.get("limit") or 20) or _PAGE, _PAGE),
        )
        page: dict[str, Any] = {}
        if found := runs[start : start + size]:
            page["runs"] = [document(run, None, self._url, self._shapes) for run in found]
            if query.get("expand_tasks") != "true":
                for each in page["runs"]:
                    del each["tasks"]
        if start + size < len(runs):
            page["next_page_token"] = str(start + size)
        return 200, page


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() else None


def _unknown(run_id: object) -> Answer:
    return refusal(400, "INVALID_PARAMETER_VALUE", f"Run {run_id} does not exist.")
