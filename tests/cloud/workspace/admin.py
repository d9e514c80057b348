"""What only a test asks of the workspace: faults, scripts, and what was really done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.cloud.workspace.access import Access
from tests.cloud.workspace.fault import Fault, Faults, weather_of
from tests.cloud.workspace.route import Answer, Call, Route, build_route
from tests.cloud.workspace.run import End, Plan, Wait
from tests.cloud.workspace.scheduler import Scheduler


class AdminApi:
    """Routes below ``/admin/``. ``asked`` gives the requests that came."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: Faults,
        access: Access,
        asked: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._access = access
        self._asked = asked

    def routes(self) -> Sequence[Route]:
        return (
            build_route("GET", "/admin/effects", self.effects),
            build_route("GET", "/admin/asked", lambda _: (200, {"asked": self._asked()})),
            build_route("POST", "/admin/faults", self.faults),
            build_route("POST", "/admin/plans", self.plans),
            build_route("POST", "/admin/hold", self.hold),
            build_route("POST", "/admin/expire", self.expire),
        )

    def effects(self, _call: Call) -> Answer:
        """Every run there is, with how often its process was started."""
        return 200, {
            "runs": [
                {
                    "run_id": run.id,
                    "job": run.job.id,
                    "job_id": run.job_id,
                    "token": run.token,
                    "starts": run.starts,
                    "attempts": len(run.attempts),
                    "state": run.state,
                    "result": run.result,
                    "message": run.message,
                }
                for run in self._scheduler.all()
            ]
        }

    def faults(self, call: Call) -> Answer:
        if call.body.get("clear"):
            self._faults.set(None)
        if "weather" in call.body:
            self._faults.set(weather_of(call.body["weather"]))
        self._faults.add([Fault(**fault) for fault in call.body.get("script", ())])
        return 200, {}

    def plans(self, call: Call) -> Answer:
        self._scheduler.plan([_plan(plan) for plan in call.body["plans"]])
        return 200, {}

    def hold(self, call: Call) -> Answer:
        self._scheduler.hold(bool(call.body["held"]))
        return 200, {}

    def expire(self, _call: Call) -> Answer:
        self._access.expire()
        return 200, {}


def _plan(content: Mapping[str, Any]) -> Plan:
    end = content.get("end")
    waits = tuple(Wait(**wait) for wait in content.get("waits", ()))
    return Plan(**{**content, "waits": waits, "end": End(**end) if end else None})
