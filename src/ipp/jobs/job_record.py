"""Convert jobs to and from stored attributes: the original system's (the seed's) and ours."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from ipp.core.parameters import Parameters
from ipp.jobs.job import (
    RETENTION,
    Job,
    JobFailure,
    JobOwner,
    JobStatus,
    Stage,
    StageRun,
    stage_token,
)
from ipp.jobs.unreadable_job import UnreadableJobError

JobItem = dict[str, Any]
"""Attributes by name: strings, integers, booleans, lists and maps; unknown values are left out."""

_UNIX_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_RUN_ID_ATTRIBUTES: Final[Mapping[Stage, str]] = {
    Stage.NORMALISER: "databricks_run_id",
    Stage.FACTOR: "factor_run_id",
    Stage.PUBLICATION: "job2_run_id",
}
"""Where people look for the run of a stage; reading uses ``stages``, which also has it."""

_OWN_ATTRIBUTES: Final = frozenset(
    {
        *(
            "job_id",
            "status",
            "mostradores",
            "mostradores_count",
            "databricks_job_id",
            "owner",
            "ttl",
        ),
        *("created_at", "updated_at", "refreshed_at", "version", "fecha_corte", "fingerprint"),
        *("stages", "cancel_requested", "error", "parametros", *_RUN_ID_ATTRIBUTES.values()),
        *("attempt", "retried"),
    }
)
"""The attributes that only this release defines.

Any other attribute is kept unchanged, and so are other names in ``user_info``; other parameters are
kept by `Parameters.unknown`.
"""

_OWNER_ATTRIBUTES: Final = frozenset(field.name for field in fields(JobOwner))
"""The names in ``user_info`` that this release defines."""


def job_to_item(job: Job, *, databricks_job_id: str = "") -> JobItem:
    """Return the attributes of ``job``, from which `job_from_item` builds an equal job.

    ``ttl`` is a week after the last change, in epoch seconds rounded up, also of a job that has not
    ended: where DynamoDB deletes by it, the reconciler runs all the time, and a job that it could
    not change for a week has no engine. Raises ValueError for a moment that `format_moment`
    refuses, and for a job without an id or an owner, which no index could hold.
    """
    if not job.job_id or not job.user.sub:
        raise ValueError("a job has an id and an owner")
    item: JobItem = {
        "job_id": job.job_id,
        "status": job.status.value,
        "mostradores": [str(mostrador) for mostrador in job.mostradores],
        "mostradores_count": len(job.mostradores),
        "databricks_job_id": databricks_job_id,
        "user_info": asdict(job.user),
        "owner": job.user.sub,
        "created_at": format_moment(job.created_at),
        "updated_at": format_moment(job.updated_at),
        "ttl": -((_UNIX_EPOCH - job.updated_at - RETENTION) // dt.timedelta(seconds=1)),
        "version": job.version,
        "parametros": _parameters_text(job.parameters),
        "fecha_corte": job.cutoff.isoformat(),
        "fingerprint": job.fingerprint,
        "stages": [_stage_item(run) for run in job.stages],
        "cancel_requested": job.cancel_requested,
        "attempt": job.attempt,
        **{
            name: run.run_id
            for stage, name in _RUN_ID_ATTRIBUTES.items()
            if (run := job.run_of(stage)) is not None
        },
    }
    if job.refreshed_at is not None:
        item["refreshed_at"] = format_moment(job.refreshed_at)
    if job.retried:
        item["retried"] = [str(mostrador) for mostrador in job.retried]
    if job.failure is not None:
        item["error"] = asdict(job.failure)
    for name, value in job.unknown.items():
        item[name] = value | item[name] if name == "user_info" else value
    return {name: value for name, value in item.items() if value != ""}


def job_from_item(item: Mapping[str, Any]) -> Job:
    """Return the job with the stored attributes ``item``.

    Attributes that an older release (or the seed) did not store get a default; those that a newer
    one added go to `Job.unknown`. An integer may come as any number that equals it. Raises
    `UnreadableJobError` if something essential cannot be read, such as an unknown status.
    """
    try:
        return _read_job(item)
    except Exception as error:  # one bad item must not affect the others
        raise UnreadableJobError(str(item.get("job_id", "")), _owner_of(item)) from error


def _read_job(item: Mapping[str, Any]) -> Job:
    status, created_at = JobStatus(item["status"]), _parse_moment(item["created_at"])
    cutoff = item.get("fecha_corte")
    return Job(
        job_id=item["job_id"],
        user=_read_owner(item),
        mostradores=tuple(int(mostrador) for mostrador in item["mostradores"]),
        parameters=_read_parameters(item.get("parametros", {})),
        cutoff=created_at.date() if cutoff is None else dt.date.fromisoformat(cutoff),
        fingerprint=item.get("fingerprint", ""),
        created_at=created_at,
        updated_at=_parse_moment(item["updated_at"]),
        status=status,
        stages=tuple(
            map(_stage_run, item["stages"]) if "stages" in item else _infer_stage_runs(item, status)
        ),
        failure=_read_failure(item.get("error")),
        cancel_requested=item.get("cancel_requested", False),
        refreshed_at=_optional_value(item, "refreshed_at"),
        version=int(item.get("version", 0)),
        attempt=int(item.get("attempt", 1)),
        retried=tuple(int(mostrador) for mostrador in item.get("retried", ())),
        unknown=_unknown_attributes(item),
    )


def _owner_of(item: Mapping[str, Any]) -> str | None:
    user = item.get("user_info")
    owner = item.get("owner") or (user.get("sub") if isinstance(user, Mapping) else None)
    return owner if isinstance(owner, str) else None


def _read_owner(item: Mapping[str, Any]) -> JobOwner:
    sub = _owner_of(item)
    if not sub:
        raise ValueError("a job has an owner")
    known = {name: item.get("user_info", {}).get(name, "") for name in _OWNER_ATTRIBUTES}
    return JobOwner(**known | {"sub": sub})


def _read_parameters(stored: Mapping[str, str]) -> Parameters:
    return Parameters.from_document({label: json.loads(text) for label, text in stored.items()})


def _read_failure(error: Mapping[str, str] | str | None) -> JobFailure | None:
    if error is None:
        return None
    if isinstance(error, str):
        return JobFailure(what=error, where="", hint="")
    return JobFailure(**{name: error.get(name, "") for name in ("what", "where", "hint")})


def _infer_stage_runs(item: Mapping[str, Any], status: JobStatus) -> Iterator[StageRun]:
    """Yield the runs of an item that stores only run ids, up to the stage its status implies."""
    last = next((index for index, stage in enumerate(Stage) if stage.running_status is status), -1)
    for index, stage in enumerate(Stage):
        run_id = item.get(_RUN_ID_ATTRIBUTES[stage], "")
        if run_id or index <= last:
            started_at = _parse_moment(item["created_at"]) if stage is Stage.NORMALISER else None
            state = "PENDING" if index == last else "TERMINATED"
            token = stage_token(item["job_id"], stage)
            yield StageRun(stage, token, run_id, state=state, started_at=started_at)


def _unknown_attributes(item: Mapping[str, Any]) -> JobItem:
    unknown: JobItem = {name: item[name] for name in item.keys() - _OWN_ATTRIBUTES - {"user_info"}}
    stored = item.get("user_info", {})
    extra = {name: value for name, value in stored.items() if name not in _OWNER_ATTRIBUTES}
    if extra:
        unknown["user_info"] = extra
    return unknown


def format_moment(when: dt.datetime) -> str:
    """Return a moment as stored, ``2024-12-09T10:30:00.000Z``, which sorts chronologically.

    Raises ValueError for one without a time zone or finer than a millisecond, which would not be
    read back unchanged.
    """
    if when.tzinfo is None or when.microsecond % 1_000:
        raise ValueError(f"not a moment in whole milliseconds with a time zone: {when!r}")
    return _optional_moment(when)


def expiry_cutoff(now: dt.datetime, kept: dt.timedelta = RETENTION) -> str:
    """Return the stored `Job.updated_at` at or before which a job has expired at ``now``."""
    # Truncating to the millisecond is safe: stored moments are whole milliseconds.
    return _optional_moment(now - kept)


def _optional_moment(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _optional_value(item: Mapping[str, Any], name: str) -> dt.datetime | None:
    return _parse_moment(item[name]) if name in item else None


def _parse_moment(text: str) -> dt.datetime:
    """Return a stored moment, truncated to milliseconds; without a time zone it is UTC."""
    when = dt.datetime.fromisoformat(text)
    when = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
    return when.replace(microsecond=when.microsecond // 1_000 * 1_000)


def _parameters_text(parameters: Parameters) -> dict[str, str]:
    """Return the parameters as JSON text: DynamoDB's numbers cannot hold every float."""
    return {label: json.dumps(value) for label, value in parameters.to_document().items()}


def _stage_item(run: StageRun) -> JobItem:
    stage: JobItem = {
        "stage": run.stage.value,
        "token": run.token,
        "run_id": run.run_id,
        "url": run.url,
        "state": run.state,
        "done": run.done,
        "warned": run.warned,
    }
    if run.started_at is not None:
        stage["started_at"] = format_moment(run.started_at)
    if run.ended_at is not None:
        stage["ended_at"] = format_moment(run.ended_at)
    return stage


def _stage_run(stage: Mapping[str, Any]) -> StageRun:
    return StageRun(
        stage=Stage(stage["stage"]),
        token=stage["token"],
        run_id=stage["run_id"],
        url=stage.get("url", ""),
        state=stage.get("state", ""),
        done=int(stage.get("done", 0)),
        started_at=_optional_value(stage, "started_at"),
        ended_at=_optional_value(stage, "ended_at"),
        warned=stage.get("warned", False),
    )
