"""A job as the attributes that are stored, whatever stores them: the seed's item and what was added to it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final

from ipp.core.parameters import Parameters
from ipp.jobs.model import KEPT, Failure, Job, Stage, StageRun, Status, User

Item = dict[str, Any]
"""Attributes by name: strings, integers, booleans, and lists and maps of them; what is not known is left out."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_RUN_IDS: Final[Mapping[Stage, str]] = {
    Stage.NORMALISER: "databricks_run_id",
    Stage.FACTOR: "factor_run_id",
    Stage.PUBLICATION: "job2_run_id",
}
"""Where people look for the run of a stage; the stages themselves tell it too, and are what is read back."""


def to_item(job: Job, *, databricks_job_id: str = "") -> Item:
    """The attributes of ``job``, from which `from_item` makes an equal one.

    ``ttl`` is `Job.expires_at` in epoch seconds, rounded up: who deletes by it never deletes a job that is there.
    Raises ValueError for a moment that `moment` refuses, and for a job without an id or an owner, which no index
    could hold.
    """
    if not job.job_id or not job.user.sub:
        raise ValueError("a job has an id and an owner")
    item: Item = {
        "job_id": job.job_id,
        "status": job.status.value,
        "mostradores": [str(mostrador) for mostrador in job.mostradores],
        "mostradores_count": len(job.mostradores),
        "databricks_job_id": databricks_job_id,
        "user_info": {
            "email": job.user.email,
            "username": job.user.username,
            "sub": job.user.sub,
            "name": job.user.name,
        },
        "owner": job.user.sub,
        "created_at": moment(job.created_at),
        "updated_at": moment(job.updated_at),
        "ttl": -((_EPOCH - job.expires_at) // dt.timedelta(seconds=1)),
        "version": job.version,
        "parametros": _parameters(job.parameters),
        "fecha_corte": job.cutoff.isoformat(),
        "fingerprint": job.fingerprint,
        "stages": [_stage(run) for run in job.stages],
        "cancel_requested": job.cancel_requested,
        **{name: run.run_id for stage, name in _RUN_IDS.items() if (run := job.run_of(stage)) is not None},
    }
    if job.refreshed_at is not None:
        item["refreshed_at"] = moment(job.refreshed_at)
    if job.failure is not None:
        item["error"] = {"what": job.failure.what, "where": job.failure.where, "hint": job.failure.hint}
    return {name: value for name, value in item.items() if value != ""}


def from_item(item: Mapping[str, Any]) -> Job:
    """The job whose attributes these are; those that it does not know are ignored.

    An integer may come as any number that equals it. Raises KeyError or ValueError where it is no job's.
    """
    error = item.get("error")
    return Job(
        job_id=item["job_id"],
        user=User(**item["user_info"]),
        mostradores=tuple(int(mostrador) for mostrador in item["mostradores"]),
        parameters=Parameters.from_labels({label: json.loads(text) for label, text in item["parametros"].items()}),
        cutoff=dt.date.fromisoformat(item["fecha_corte"]),
        fingerprint=item.get("fingerprint", ""),
        created_at=dt.datetime.fromisoformat(item["created_at"]),
        updated_at=dt.datetime.fromisoformat(item["updated_at"]),
        status=Status(item["status"]),
        stages=tuple(_run(stage) for stage in item["stages"]),
        failure=None if error is None else Failure(**error),
        cancel_requested=item["cancel_requested"],
        refreshed_at=_optional(item, "refreshed_at"),
        version=int(item["version"]),
    )


def moment(when: dt.datetime) -> str:
    """A moment as it is stored, ``2024-12-09T10:30:00.000Z``: of two, the earlier sorts first.

    Raises ValueError for one without a time zone or finer than a millisecond: it would not be read back as it was.
    """
    if when.tzinfo is None or when.microsecond % 1_000:
        raise ValueError(f"not a moment in whole milliseconds with a time zone: {when!r}")
    return _text(when)


def horizon(now: dt.datetime) -> str:
    """The `Job.updated_at`, as it is stored, at or before which a job's time is over ``now``."""
    return _text(now - KEPT)  # cut to the millisecond: a job that changed later did so in a later one


def _text(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _optional(item: Mapping[str, Any], name: str) -> dt.datetime | None:
    return dt.datetime.fromisoformat(item[name]) if name in item else None


def _parameters(parameters: Parameters) -> dict[str, str]:
    """As text, which holds every number there is; DynamoDB's numbers end where a float's do not."""
    return {label: json.dumps(value) for label, value in parameters.to_labels().items() if value is not None}


def _stage(run: StageRun) -> Item:
    stage: Item = {
        "stage": run.stage.value,
        "token": run.token,
        "run_id": run.run_id,
        "url": run.url,
        "state": run.state,
        "done": run.done,
        "warned": run.warned,
    }
    if run.started_at is not None:
        stage["started_at"] = moment(run.started_at)
    if run.ended_at is not None:
        stage["ended_at"] = moment(run.ended_at)
    return stage


def _run(stage: Mapping[str, Any]) -> StageRun:
    return StageRun(
        stage=Stage(stage["stage"]),
        token=stage["token"],
        run_id=stage["run_id"],
        url=stage["url"],
        state=stage["state"],
        done=int(stage["done"]),
        started_at=_optional(stage, "started_at"),
        ended_at=_optional(stage, "ended_at"),
        warned=stage["warned"],
    )
