"""The specification of a job and the keys of its files."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ipp.core.parameters import Parameters
from ipp.errors import NotFoundError
from ipp.storage.files.file_store import FileStore

_SPEC_FILE = "solicitud.json"
_JOB_ID_PATTERN = re.compile(r"ipp-[0-9a-z-]{1,60}")


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as requested: nothing in it changes while the job runs.

    ``cutoff`` is the last day of sell-out that counts, ``created_at`` the moment of the request, in
    UTC. ``user_info`` is the requester (sub, email, username, name), empty for a job started from
    the command line by an older version. ``run_ids`` are the known runs, by stage. ``retried`` are
    the mostradores to compute if they are not all of them.
    """

    job_id: str
    mostradores: tuple[int, ...]
    parameters: Parameters
    cutoff: dt.date
    created_at: dt.datetime
    user_info: Mapping[str, str] = field(default_factory=dict)
    run_ids: Mapping[str, str] = field(default_factory=dict)
    retried: tuple[int, ...] = ()

    @property
    def computed_counters(self) -> tuple[int, ...]:
        """The mostradores to compute."""
        return self.retried or self.mostradores

    def with_run(self, stage: str, run_id: str) -> JobSpec:
        """Return the job with the run that computes ``stage``; unchanged if ``run_id`` is empty."""
        return replace(self, run_ids={**self.run_ids, stage: run_id}) if run_id else self

    def raw_key(self, name: str) -> str:
        """Return the key of a file that Job 1 writes."""
        return f"ipp-raw/{self.job_id}/{name}"

    def processed_key(self, name: str) -> str:
        """Return the key of a file that the factor step writes."""
        return f"ipp-processed/{self.job_id}/{name}"


def save_spec(spec: JobSpec, files: FileStore) -> None:
    """Write the specification of a job beside the files that the job produces."""
    content = {
        "job_id": spec.job_id,
        "mostradores": list(spec.mostradores),
        "parametros": spec.parameters.to_document(),
        "fecha_corte": spec.cutoff.isoformat(),
        "created_at": spec.created_at.isoformat(),
        "user_info": dict(spec.user_info),
        "run_ids": dict(spec.run_ids),
        "reintentados": list(spec.retried),
    }
    with files.write_object(spec.raw_key(_SPEC_FILE)) as path:
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def load_spec(job_id: str, files: FileStore) -> JobSpec:
    """Return the specification that `save_spec` wrote.

    Raises `NotFoundError` if there is no such job.
    """
    missing = NotFoundError(
        f"Job no encontrado: {job_id}.", hint="`ipp results` sin argumentos los enumera."
    )
    if not is_job_id(job_id):
        raise missing
    try:
        return _read_spec(f"ipp-raw/{job_id}/{_SPEC_FILE}", files)
    except NotFoundError:
        raise missing from None


def is_job_id(text: str) -> bool:
    """Return whether ``text`` has the form of a job id."""
    return _JOB_ID_PATTERN.fullmatch(text) is not None


def saved_specs(files: FileStore) -> list[JobSpec]:
    """Return every specification that `save_spec` wrote, by job_id."""
    return [
        _read_spec(key, files)
        for key in files.list_keys("ipp-raw/")
        if key.endswith(f"/{_SPEC_FILE}")
    ]


def _read_spec(key: str, files: FileStore) -> JobSpec:
    content = json.loads(files.local_path(key).read_text(encoding="utf-8"))
    return JobSpec(
        job_id=content["job_id"],
        mostradores=tuple(content["mostradores"]),
        parameters=Parameters.from_document(content["parametros"]),
        cutoff=dt.date.fromisoformat(content["fecha_corte"]),
        created_at=dt.datetime.fromisoformat(content["created_at"]),
        user_info=content.get("user_info", {}),
        run_ids=content.get("run_ids", {}),
        retried=tuple(content.get("reintentados", ())),
    )
