"""Two deployments on one metastore: each has a catalog, and neither meets the other's rows."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from ipp.cloud.databricks.client import DatabricksClient
from ipp.core.parameters import Parameters
from ipp.core.tables import COUNTERS, RESULTS
from ipp.entrypoints.databricks_tasks import run_factor, run_normaliser, run_publication
from ipp.errors import InvalidInputError
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import save_spec
from ipp.settings import CloudSettings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.warehouse.databricks_warehouse import DatabricksWarehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.sql_statement import StatementRunner
from tests.cloud import spark as sparks
from tests.cloud.workspace import run_workspace
from tests.cloud.workspace.definition import JobDefinition
from tests.cloud.workspace.tables import folder_of, lay_out
from tests.sample_chain import build_runner, write_sample

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
JOBS = {"jul_dev": ("ipp-dev", 7_051_602), "jul_qa": ("ipp-qa", 7_051_603)}
"""The job of each catalog, and its only counter."""

ENTRY_POINTS = {
    Stage.NORMALISER: run_normaliser,
    Stage.FACTOR: run_factor,
    Stage.PUBLICATION: run_publication,
}
CLOUD = {"IPP_JOBS_TABLE": "t", "IPP_RAW_BUCKET": "r", "IPP_PROCESSED_BUCKET": "p"}

BAD_NAMES = [
    "Invenadro", "invenadro.gold", "in venadro", "in-venadro", "`i`", "1nvenadro", "ñandú", "../x",
    "i'; DROP", "i\n", "i" * 256, "_i",
]  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """What two deployments share: the folder of all tables, and the SQL warehouse by catalog."""

    tables: Path
    warehouses: Mapping[str, DatabricksWarehouse]


@pytest.fixture(scope="module")
def shared(spark_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Each catalog has the same chain, of which the other's job is of another counter."""
    folder = tmp_path_factory.mktemp("shared")
    tables, files = folder / "tables", folder / "files"
    chain = write_sample(build_runner(folder / "here"))
    for catalog in JOBS:
        lay_out(chain.lakehouse, tables, catalog=catalog)
    with sparks.session(spark_server), pytest.MonkeyPatch.context() as patch:
        for catalog, (job_id, mostrador) in JOBS.items():
            spec = plan_job(
                (mostrador,),
                Parameters(),
                LakehouseWarehouse(chain.lakehouse),
                job_id=job_id,
                created_at=NOW,
            )
            save_spec(spec, LocalFiles(files))
            arguments = {"job_id": job_id, "files": files, "tables": tables, "catalog": catalog}
            given = [f"--{name}={value}" for name, value in arguments.items()]
            patch.setattr(sys, "argv", ["stage", *given])
            for run_stage in ENTRY_POINTS.values():
                run_stage()
    jobs = [JobDefinition(1, "none")]
    with run_workspace(folder / "work", jobs, tables=tables) as workspace:
        client = DatabricksClient(workspace.settings)
        warehouse = workspace.settings.warehouse
        runners = {
            catalog: StatementRunner(client, warehouse, catalog=catalog, waited=180.0)
            for catalog in JOBS
        }
        yield Shared(tables, {name: DatabricksWarehouse(each) for name, each in runners.items()})
        client.close()


@pytest.mark.parametrize("catalog", JOBS)
def test_a_job_publishes_into_its_own_catalog_alone(shared: Shared, catalog: str) -> None:
    found = folder_of(RESULTS, shared.tables, catalog) / "**" / "*.parquet"
    rows = pl.scan_parquet(found, hive_partitioning=True).select("job_id", "mostrador").unique()
    assert rows.collect().rows() == [JOBS[catalog]]


@pytest.mark.parametrize("catalog", JOBS)
def test_a_warehouse_sees_the_jobs_of_its_own_catalog_alone(shared: Shared, catalog: str) -> None:
    warehouse = shared.warehouses[catalog]
    job_id, mostrador = JOBS[catalog]
    assert warehouse.catalog == catalog
    assert warehouse.published_jobs() == [job_id]
    assert [row["mostrador"] for row in warehouse.job_summary(job_id)] == [mostrador]
    for other, (theirs, _) in JOBS.items():
        if other != catalog:
            assert warehouse.job_summary(theirs) == []
            assert warehouse.publication(theirs) is None


def test_what_changes_in_one_catalog_stays_as_it_was_in_the_other(shared: Shared) -> None:
    lost = folder_of(COUNTERS, shared.tables, "jul_qa")
    lost.rename(lost.with_name("mostradores-away"))
    try:
        asked = [mostrador for _, mostrador in JOBS.values()]
        assert shared.warehouses["jul_qa"].unknown_counters(asked) == asked
        assert shared.warehouses["jul_dev"].unknown_counters(asked) == []
    finally:
        lost.with_name("mostradores-away").rename(lost)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_catalog_with_odd_characters_is_refused_at_the_start(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_stage in ENTRY_POINTS.values():
        arguments = ["stage", "--job_id=ipp-1", "--files=/nowhere", f"--catalog={name}"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(InvalidInputError, match="catalog = "):
            run_stage()
    if name.strip() == name:
        with pytest.raises(InvalidInputError, match="IPP_CATALOG = "):
            CloudSettings.from_environment({**CLOUD, "IPP_CATALOG": name}, str)


def test_without_a_name_the_catalog_is_the_one_of_always() -> None:
    assert CloudSettings.from_environment(CLOUD, str).catalog == "invenadro"
    given = {**CLOUD, "IPP_CATALOG": " nadro_prod "}
    assert CloudSettings.from_environment(given, str).catalog == "nadro_prod"
