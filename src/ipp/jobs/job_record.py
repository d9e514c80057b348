"""A job as the attributes that are stored, whatever stores them: the seed's item and what was added to it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from ipp.core.parameters import BOUNDS, Parameters
from ipp.jobs.job import KEPT, Failure, Job, Stage, StageRun, Status, User, token
from ipp.jobs.unreadable_job import UnreadableJobError

Item = dict[str, Any]
"""Attributes by name: strings, integers, booleans, and lists and maps of them; what is not known is left out."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_RUN_IDS: Final[Mapping[Stage, str]] = {
    Stage.NORMALISER: "databricks_run_id",
    Stage.FACTOR: "factor_run_id",
    Stage.PUBLICATION: "job2_run_id",
}
"""Where people look for the run of a stage; the stages themselves tell it too, and are what is read back."""

_NAMES: Final = frozenset(
    {
        *("job_id", "status", "mostradores", "mostradores_count", "databricks_job_id", "owner", "ttl"),
        *("created_at", "updated_at", "refreshed_at", "version", "fecha_corte", "fingerprint"),
        *("stages", "cancel_requested", "error", *_RUN_IDS.values()),
    }
)
"""The attributes that are wholly ours. Any other is kept as it came, and so is what a map below
holds besides."""

_MAPS: Final[Mapping[str, frozenset[str]]] = {
    "user_info": frozenset(field.name for field in fields(User)),
    "parametros": frozenset(bound.label for bound in BOUNDS.values()),
}
"""The attributes that are maps, and the names in them that are ours."""


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
    for name, value in job.unknown.items():
        item[name] = value | item[name] if name in _MAPS else value
    return {name: value for name, value in item.items() if value != ""}


def from_item(item: Mapping[str, Any]) -> Job:
    """Return the job whose attributes these are.

    Read as far as it goes: what another release did not store yet has a default, as in the seed's
    own item, and what it stores besides is `Job.unknown`. An integer may come as any number that
    equals it. Raises `UnreadableJobError` where something cannot be left out, such as a status
    that is not known.
    """
    try:
        return _job(item)
    except Exception as error:  # whatever is wrong with one item, it is that item's alone
        raise UnreadableJobError(str(item.get("job_id", "")), _owner(item)) from error


def _job(item: Mapping[str, Any]) -> Job:
    status, created_at = Status(item["status"]), _moment(item["created_at"])
    cutoff = item.get("fecha_corte")
    return Job(
        job_id=item["job_id"],
        user=_user(item),
        mostradores=tuple(int(mostrador) for mostrador in item["mostradores"]),
        parameters=_read_parameters(item.get("parametros", {})),
        cutoff=created_at.date() if cutoff is None else dt.date.fromisoformat(cutoff),
        fingerprint=item.get("fingerprint", ""),
        created_at=created_at,
        updated_at=_moment(item["updated_at"]),
        status=status,
        stages=tuple(map(_run, item["stages"]) if "stages" in item else _seed_runs(item, status)),
        failure=_failure(item.get("error")),
        cancel_requested=item.get("cancel_requested", False),
        refreshed_at=_optional(item, "refreshed_at"),
        version=int(item.get("version", 0)),
        unknown=_unknown(item),
    )


def _owner(item: Mapping[str, Any]) -> str | None:
    user = item.get("user_info")
    owner = item.get("owner") or (user.get("sub") if isinstance(user, Mapping) else None)
    return owner if isinstance(owner, str) else None


def _user(item: Mapping[str, Any]) -> User:
    sub = _owner(item)
    if not sub:
        raise ValueError("a job has an owner")
    known = {name: item.get("user_info", {}).get(name, "") for name in _MAPS["user_info"]}
    return User(**known | {"sub": sub})


def _read_parameters(stored: Mapping[str, str]) -> Parameters:
    known = _MAPS["parametros"]
    return Parameters.from_labels({label: json.loads(text) for label, text in stored.items() if label in known})


def _failure(error: Mapping[str, str] | str | None) -> Failure | None:
    if error is None:
        return None
    if isinstance(error, str):
        return Failure(what=error, where="", hint="")
    return Failure(**{name: error.get(name, "") for name in ("what", "where", "hint")})


def _seed_runs(item: Mapping[str, Any], status: Status) -> Iterator[StageRun]:
    """Return the stages of an item that has ids of runs alone, as far as its status says."""
    last = next((place for place, stage in enumerate(Stage) if stage.running is status), -1)
    for place, stage in enumerate(Stage):
        run_id = item.get(_RUN_IDS[stage], "")
        if run_id or place <= last:
            began = _moment(item["created_at"]) if stage is Stage.NORMALISER else None
            state = "PENDING" if place == last else "TERMINATED"
            made = token(item["job_id"], stage)
            yield StageRun(stage, made, run_id, state=state, started_at=began)


def _unknown(item: Mapping[str, Any]) -> Item:
    unknown: Item = {name: item[name] for name in item.keys() - _NAMES - _MAPS.keys()}
    for name, ours in _MAPS.items():
        if more := {each: value for each, value in item.get(name, {}).items() if each not in ours}:
            unknown[name] = more
    return unknown


def moment(when: dt.datetime) -> str:
    """A moment as it is stored, ``2024-12-09T10:30:00.000Z``: of two, the earlier sorts first.

    Raises ValueError for one without a time zone or finer than a millisecond: it would not be read back as it was.
    """
    if when.tzinfo is None or when.microsecond % 1_000:
        raise ValueError(f"not a moment in whole milliseconds with a time zone: {when!r}")
    return _text(when)


def horizon(now: dt.datetime, kept: dt.timedelta = KEPT) -> str:
    """The `Job.updated_at`, as it is stored, at or before which a job's time is over ``now``."""
    return _text(now - kept)  # cut to the millisecond: a job that changed later did so in a later one


def _text(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _optional(item: Mapping[str, Any], name: str) -> dt.datetime | None:
    return _moment(item[name]) if name in item else None


def _moment(text: str) -> dt.datetime:
    """Return a stored moment, to the millisecond that `moment` writes; without a zone it is UTC."""
    when = dt.datetime.fromisoformat(text)
    when = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
    return when.replace(microsecond=when.microsecond // 1_000 * 1_000)


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
        url=stage.get("url", ""),
        state=stage.get("state", ""),
        done=int(stage.get("done", 0)),
        started_at=_optional(stage, "started_at"),
        ended_at=_optional(stage, "ended_at"),
        warned=stage.get("warned", False),
    )
