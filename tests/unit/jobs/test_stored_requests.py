"""What a job was asked for, as this release, the one before and the next one store it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.parameters import PARAMETER_FIELDS, Parameters
from ipp.errors import NotFoundError
from ipp.jobs.job import Job, JobStatus, Stage, request_fingerprint
from ipp.jobs.job_record import job_from_item, job_to_item
from ipp.jobs.job_service import job_preparer, spec_of_job
from ipp.jobs.job_spec import JobSpec, load_spec, save_spec, saved_specs
from ipp.jobs.published_job import published_job
from ipp.pipeline.stages.publication_stage import describe_job
from ipp.storage.files.local_files import LocalFiles
from tests.contract.jobs import jobs
from tests.parameters import later_labels, parameters
from tests.unit.jobs.job_builder import NOW, build_job

FIRST_RELEASE = (
    "dias_inversion_deseados", "dias_inventario", "joroba", "precio_maximo", "factor_forzado",
    "monto_deseado",
)  # fmt: skip
"""The parameters of the first release, which stored and hashed every one, as null if not given."""

ASKED: dict[str, Any] = {"joroba": 0.1, "dias_inventario": 30}

DOCUMENTS: dict[str, dict[str, Any]] = {
    "of the release before": Parameters.from_document(ASKED).to_labels(),
    "of the next release": {**ASKED, "x_nuevo": 7.5, "x_lista": ["una", None]},
    "of the next release, with nulls": {**ASKED, "x_nuevo": None, "factor_forzado": None},
}


def spec(job_id: str) -> JobSpec:
    return JobSpec(job_id, (1, 2), Parameters(), NOW.date(), NOW)


def known(document: dict[str, Any]) -> dict[str, Any]:
    """Return what this release understands of a document."""
    return Parameters.from_document(document).to_labels()


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_a_specification_is_read_beside_others_and_written_back(
    document: dict[str, Any], tmp_path: Path
) -> None:
    files = LocalFiles(tmp_path)
    for job_id in ("ipp-a", "ipp-b", "ipp-c"):
        save_spec(spec(job_id), files)
    path = files.local_path("ipp-raw/ipp-b/solicitud.json")
    content = json.loads(path.read_text(encoding="utf-8")) | {"parametros": document}
    path.write_text(json.dumps(content), encoding="utf-8")
    assert [saved.job_id for saved in saved_specs(files)] == ["ipp-a", "ipp-b", "ipp-c"]
    read = load_spec("ipp-b", files)
    assert read.parameters.to_labels() == known(ASKED)
    save_spec(read, files)
    written = json.loads(path.read_text(encoding="utf-8"))["parametros"]
    assert known(written) == known(ASKED)
    assert written.items() >= {k: v for k, v in document.items() if k.startswith("x_")}.items()


def test_a_specification_of_an_early_release_lacks_what_came_later(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    save_spec(replace(spec("ipp-a"), retried=(2,), run_ids={"factor": "7"}), files)
    path = files.local_path("ipp-raw/ipp-a/solicitud.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    for later in ("user_info", "run_ids", "reintentados"):
        del content[later]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_spec("ipp-a", files) == spec("ipp-a")


@pytest.mark.parametrize("job_id", ["ipp-none", "", "ipp-", "../ipp-a", "IPP-A", "ipp-a\n", "ipp"])
def test_a_job_without_a_specification_is_not_found(job_id: str, tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    save_spec(spec("ipp-a"), files)
    with pytest.raises(NotFoundError, match="Job no encontrado"):
        load_spec(job_id, files)


def test_other_files_of_a_job_are_no_specifications(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    made = spec("ipp-a")
    for name in ("1.parquet", "otra-solicitud.json", "solicitud.json.part"):
        with files.write_object(made.raw_key(name)) as path:
            path.write_text("{}")
    assert saved_specs(files) == []
    save_spec(made, files)
    assert saved_specs(files) == [made]


def test_a_run_is_added_to_a_specification_once_it_is_known() -> None:
    made = spec("ipp-a").with_run("factor", "7")
    assert made.with_run("publicacion", "") == made
    assert made.with_run("publicacion", "8").run_ids == {"factor": "7", "publicacion": "8"}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_a_stored_job_is_read_and_written_back(document: dict[str, Any]) -> None:
    item = job_to_item(build_job())
    item["parametros"] = {label: json.dumps(value) for label, value in document.items()}
    read = job_from_item(item)
    assert read.parameters.to_labels() == known(ASKED)
    later = {label: text for label, text in item["parametros"].items() if label.startswith("x_")}
    assert job_to_item(read)["parametros"].items() >= later.items()


@given(jobs, later_labels)
def test_a_job_is_read_back_from_its_specification_and_its_publication_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, made: Job, later: dict[str, Any]
) -> None:
    asked = Parameters.from_document(made.parameters.to_document() | later)
    made = replace(made, job_id="ipp-1", mostradores=made.mostradores or (1,), parameters=asked)
    files = LocalFiles(tmp_path_factory.getbasetemp())
    job_preparer(files)(made)
    spec = load_spec("ipp-1", files)
    assert spec == spec_of_job(made)
    back = published_job(describe_job(spec, made.updated_at).row(0, named=True))
    for name in ("user", "mostradores", "parameters", "cutoff", "created_at", "updated_at"):
        assert getattr(back, name) == getattr(made, name)
    assert back.status is JobStatus.COMPLETED
    assert [(run.stage, run.run_id) for run in back.stages] == [
        (run.stage, run.run_id)
        for run in made.stages
        if run.run_id and run.stage is not Stage.FACTOR
    ]


def first_fingerprint(mostradores: tuple[int, ...], labels: dict[str, float | None]) -> str:
    """Return the fingerprint of a request as the first release computed it."""
    hashed = {label: labels[label] for label in FIRST_RELEASE}
    content = json.dumps([sorted(mostradores), hashed], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


@given(parameters, st.lists(st.integers(1, 10**10), unique=True).map(tuple))
def test_the_keys_of_the_first_release_are_recognised(
    given_: Parameters, mostradores: tuple[int, ...]
) -> None:
    """So are those of any later one, because what it adds is not hashed where it is not given."""
    labels = given_.to_labels()
    later = {
        name: field.default
        for name, field in PARAMETER_FIELDS.items()
        if field.label not in FIRST_RELEASE
    }
    assert set(later.values()) <= {None}, "a default would change the fingerprint of old requests"
    asked = Parameters.from_labels({label: labels[label] for label in FIRST_RELEASE})
    assert request_fingerprint(mostradores, asked) == first_fingerprint(mostradores, labels)
    assert (
        request_fingerprint(mostradores, given_) == request_fingerprint(mostradores, asked)
    ) == (given_ == asked)
