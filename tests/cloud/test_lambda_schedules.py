"""Scheduled work: jobs advance by the minute and by their objects, and the morning's job starts."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from ipp.jobs.job import JobStatus
from tests.cloud.aws import client_of
from tests.cloud.functions import Functions, read_log
from tests.cloud.gateway import build_event
from tests.cloud.scripted_answers import Say
from tests.cloud.stack import (
    CLAIMS,
    CONFIGURED,
    READY,
    STARTED,
    TO_START,
    Stack,
    run_in,
    statement_answer,
)


class TestReconciler:
    """Moves jobs on without anybody asking."""

    def test_the_schedule_moves_every_job_on(self, alone: tuple[Stack, Functions]) -> None:
        made, ask = alone
        running, ended = (
            made.put(JobStatus.JOB1_RUNNING, running="4711"),
            made.put(JobStatus.COMPLETED),
        )
        answer = ask(
            "reconciler",
            {},
            run_in("TERMINATED", "SUCCESS"),
            Say(content={"run_id": 4712}),
            run_in("QUEUED"),
        )
        assert answer == {"waiting": 1, "stuck": 0}
        moved = made.store.get_job(running.job_id, running.created_at)
        assert moved is not None
        assert (moved.status, [run.run_id for run in moved.stages]) == (
            JobStatus.PROCESSING,
            ["4711", "4712"],
        )
        assert made.store.get_job(ended.job_id, ended.created_at) == ended

    def test_an_object_moves_its_own_job_on(self, alone: tuple[Stack, Functions]) -> None:
        made, ask = alone
        job, other = (
            made.put(JobStatus.JOB2_RUNNING, running="4711"),
            made.put(JobStatus.JOB1_RUNNING, running="4712"),
        )
        created = {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {
                "bucket": {"name": f"{made.name}-ipp-raw"},
                "object": {"key": f"{job.job_id}/raw_data.xlsx", "size": 4},
            },
        }
        answer = ask("reconciler", created, run_in("TERMINATED", "FAILED"), Say(content={}))
        assert answer == {"job_id": job.job_id, "status": "FAILED"}
        assert failures_told(made, "reconciler") == 1
        ask("reconciler", created)
        assert failures_told(made, "reconciler") == 1, "it fails once"
        assert made.store.get_job(other.job_id, other.created_at) == other

    def test_an_object_of_no_job_moves_nothing(self, alone: tuple[Stack, Functions]) -> None:
        _, ask = alone
        created = {"detail-type": "Object Created", "detail": {"object": {"key": "else/what.txt"}}}
        assert ask("reconciler", created) == {"job_id": "else", "status": None}

    def test_how_many_wait_is_a_metric(self, alone: tuple[Stack, Functions]) -> None:
        made, ask = alone
        made.put(JobStatus.JOB1_RUNNING, running="4711")
        ask("reconciler", {}, run_in("RUNNING"))
        (metric,) = [line for line in read_log(made, "reconciler") if "_aws" in line]
        (told,) = metric["_aws"]["CloudWatchMetrics"]
        assert told["Namespace"] == "IPP"
        assert {entry["Name"]: metric[entry["Name"]] for entry in told["Metrics"]} == {
            "WaitingJobs": [1],
            "StuckJobs": [0],
            "UnreadableJobs": [0],
        }

    def test_one_that_cannot_be_read_is_a_metric_and_holds_up_no_other(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        """Cover a status of a later release, say: by the schedule, and by an object made for it."""
        made, ask = alone
        odd, other = (made.put(JobStatus.JOB1_RUNNING, running="4711") for _ in range(2))
        client_of(made.address, "dynamodb").update_item(
            TableName=f"{made.name}-ipp-jobs",
            Key={"job_id": {"S": odd.job_id}},
            UpdateExpression="SET #status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": {"S": "ARCHIVING"}},
        )
        for _ in range(2):  # counted afresh each time
            answer = ask("reconciler", {}, run_in("RUNNING"))
            assert answer == {"waiting": 1, "stuck": 0}
        said = read_log(made, "reconciler")
        assert [line["UnreadableJobs"] for line in said if "_aws" in line] == [[1], [1]]
        assert any(odd.job_id in line.get("message", "") for line in said)
        created = {
            "detail-type": "Object Created",
            "detail": {"object": {"key": f"{odd.job_id}/raw_data.xlsx"}},
        }
        assert ask("reconciler", created) == {"job_id": odd.job_id, "status": None}
        assert made.store.get_job(other.job_id, other.created_at) is not None

    def test_a_failure_that_somebody_sees_first_is_told_as_well(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        made, ask = alone
        job = made.put(JobStatus.JOB2_RUNNING, running="4711")
        request = build_event("GET", f"/ipp/status/{job.job_id}", claims=CLAIMS)
        ask("status", request, run_in("TERMINATED", "FAILED"), Say(content={}))
        assert failures_told(made, "status") == 1


class TestValidation:
    """The original system's schedule, which sent its event to ippVerificador."""

    def test_its_event_validates_all(self, alone: tuple[Stack, Functions]) -> None:
        _, ask = alone
        answer = ask("verificador", {"mode": "automatic"}, CONFIGURED)
        assert answer["mode"] == "automatic"
        assert answer["validClients"] == ["7051602", "7051603"]
        assert (answer["status"], answer["total"]) == ("all_valid", 2)

    def test_where_there_is_nothing_it_says_so(self, alone: tuple[Stack, Functions]) -> None:
        _, ask = alone
        answer = ask("verificador", {"mode": "automatic"}, statement_answer())
        assert (answer["total"], answer["validated"]) == (0, 0)
        assert answer["message"]


class TestCanary:
    """The job of one mostrador by which a deployment is tried."""

    EVENT: ClassVar = {"mode": "canary", "key": "0a1b2c3"}

    def test_it_is_of_one_mostrador_and_tells_its_status_when_it_is_asked_again(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        made, ask = alone
        first = ask("automatic", self.EVENT, *TestAutomatic.VALID)
        assert first["mostradores_count"] == 1
        again = ask("automatic", self.EVENT, CONFIGURED, CONFIGURED, run_in("RUNNING"))
        assert (again["job_id"], again["status"]) == (first["job_id"], "JOB1_RUNNING")
        assert [line for line in read_log(made, "automatic") if "AutomaticCounters" in line] == []

    def test_another_release_has_another(self, alone: tuple[Stack, Functions]) -> None:
        _, ask = alone
        jobs = {
            ask("automatic", {**self.EVENT, "key": key}, *TestAutomatic.VALID)["job_id"]
            for key in ("a", "b")
        }
        assert len(jobs) == 2


class TestAutomatic:
    """The schedule's job."""

    TODAY: ClassVar = {"mode": "automatic", "time": "2026-07-10T14:00:00Z"}
    TOMORROW: ClassVar = {"mode": "automatic", "time": "2026-07-11T14:00:00Z"}
    VALID = (CONFIGURED, CONFIGURED, *TO_START)
    """Databricks is asked which are configured, which are known, and then what any start asks."""

    def test_it_is_one_a_day_however_often_it_is_asked_for(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        made, ask = alone
        first = ask("automatic", self.TODAY, *self.VALID)
        assert first["mostradores_count"] == 2
        counted = [
            line["AutomaticCounters"] for line in read_log(made, "automatic") if "_aws" in line
        ]
        assert counted == [[2]]
        assert [run["job_parameters"]["job_id"] for run in ask.runs_asked_for] == [first["job_id"]]
        for _ in range(3):
            again = ask("automatic", self.TODAY, CONFIGURED, CONFIGURED, run_in("RUNNING"))
            assert (again, ask.runs_asked_for) == (first, [])
        assert len(made.store.list_unfinished(owner=None, limit=10, now=_now())) == 1

    def test_another_day_has_another(self, alone: tuple[Stack, Functions]) -> None:
        _, ask = alone
        days = [ask("automatic", day, *self.VALID)["job_id"] for day in (self.TODAY, self.TOMORROW)]
        assert len(set(days)) == 2

    def test_it_stays_one_where_the_configurations_have_changed(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        _, ask = alone
        first = ask("automatic", self.TODAY, *self.VALID)
        fewer = statement_answer(["7051602"])
        again = ask("automatic", self.TODAY, fewer, fewer, run_in("RUNNING"))
        assert (again, ask.runs_asked_for) == (first, [])

    def test_a_mostrador_that_nobody_knows_does_not_keep_the_others(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        made, ask = alone
        known = statement_answer(["7051602"])
        answer = ask("automatic", self.TODAY, CONFIGURED, known, known, known, READY, STARTED)
        assert answer["mostradores_count"] == 1
        job = made.store.get_job(answer["job_id"], _now())
        assert job is not None
        assert job.mostradores == (7_051_602,)
        assert [
            line["message"]
            for line in read_log(made, "automatic")
            if line.get("level") == "WARNING"
        ] == ["configured, but not in mostradores: 7051603"]

    def test_where_there_is_nothing_nothing_is_started(
        self, alone: tuple[Stack, Functions]
    ) -> None:
        made, ask = alone
        assert ask("automatic", self.TODAY, statement_answer()) == {
            "job_id": None,
            "mostradores_count": 0,
        }
        assert made.store.list_unfinished(owner=None, limit=10, now=_now()) == []


def failures_told(made: Stack, handler: str) -> int:
    return sum(line.get("FailedJobs", [0])[0] for line in read_log(made, handler))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
