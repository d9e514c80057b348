"""The same stages on Spark as on one machine: row for row, file for file."""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.parameters import Parameters
from ipp.core.tables import (
    AREA_FORECAST,
    CONFIGURATIONS,
    COUNTERS,
    CURVES,
    FAILURES,
    IMPORTABLE_TABLES,
    MATERIALS,
    RESULTS,
    SELLOUT,
    STOCK,
)
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE
from ipp.entrypoints.databricks_tasks import run_task
from ipp.entrypoints.spark_wiring import KEY, SECRET
from ipp.errors import InvalidInputError, NotConfiguredError, NotFoundError
from ipp.formats.exports import table_export as exports
from ipp.formats.exports.export import Export, ExportFormat
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import JobSpec, save_spec
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.runners.spark_runner import SparkRunner
from ipp.pipeline.runners.stage_execution import AllFailedError
from ipp.pipeline.stages import run_stage
from ipp.settings import DEFAULT_CATALOG, StageSettings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.catalog_tables import (
    CatalogTables,
    FolderTables,
    columns_ddl,
)
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.table_ddl import create_table_sql
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.cloud import spark as sparks
from tests.cloud.aws import REGION, client_of, run_moto
from tests.cloud.clients import build_cheap_jobs
from tests.cloud.workspace import run_workspace
from tests.cloud.workspace.tables import folder_of, lay_out
from tests.sample_chain import END, build_runner, write_sample
from tests.unit.pipeline.test_notice_evidence import check_evidence, write_history

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
FIRST, SECOND = 7_051_602, 7_051_603
"""A counter of the traditional model, and one of the predictive."""


@pytest.fixture(scope="module")
def spark(spark_server: str) -> Iterator[SparkSession]:
    with sparks.session(spark_server) as made:
        yield made


@dataclass(frozen=True)
class Both:
    """A chain as Delta tables for Polars and as Parquet for Spark, with a job that both ran."""

    here: LocalRunner
    there: Path
    spec: JobSpec

    @property
    def tables(self) -> Path:
        return self.there / "tables"

    @property
    def files(self) -> LocalFiles:
        return LocalFiles(self.there / "files")

    @property
    def settings(self) -> StageSettings:
        return StageSettings(files=self.there / "files", tables=self.tables)

    def plan(self, job_id: str, *mostradores: int, parameters: Parameters | None = None) -> JobSpec:
        warehouse = LakehouseWarehouse(self.here.lakehouse)
        made = plan_job(
            mostradores or None,
            parameters or Parameters(),
            warehouse,
            job_id=job_id,
            created_at=NOW,
        )
        save_spec(made, self.files)
        return made

    def run_here(self, spec: JobSpec) -> None:
        for stage in Stage:
            run_stage(stage, spec, self.here, lambda _mostrador: None)

    def run_there(self, spec: JobSpec) -> None:
        for stage in Stage:
            run_task(stage, spec.job_id, self.settings)

    def published_here(self, table: Table, job_id: str) -> pl.DataFrame:
        return (
            self.here.lakehouse.scan_table(table)
            .filter(pl.col("job_id") == job_id)
            .sort(table.key)
            .collect()
        )

    def published_there(self, table: Table, job_id: str | None = None) -> pl.DataFrame:
        found = folder_of(table, self.tables) / "**" / "*.parquet"
        rows = table.conform_rows(
            pl.scan_parquet(found, hive_partitioning=True).rename(dict(table.names), strict=False)
        )
        mine = rows if job_id is None else rows.filter(pl.col("job_id") == job_id)
        return mine.sort(table.key).collect()


def odd(workspace: LocalRunner) -> None:
    """Add what a plain sample lacks: an external forecast, stock-outs, no category, no price."""
    lakehouse = workspace.lakehouse
    codes = (
        lakehouse.scan_table(COUNTERS)
        .select("postal_code")
        .unique()
        .sort("postal_code")
        .collect()["postal_code"]
    )
    materials = lakehouse.scan_table(MATERIALS).sort("material").collect()
    given = [(codes[0], material, 40.0 + n) for n, material in enumerate(materials["material"][:9])]
    lakehouse.replace_table(
        AREA_FORECAST, pl.LazyFrame(given, schema=AREA_FORECAST.schema, orient="row")
    )
    sold = (
        lakehouse.scan_table(SELLOUT)
        .select("mostrador", "material")
        .unique()
        .sort("mostrador", "material")
        .collect()
    )
    gone = sold[::7].with_columns(on_hand=0.0, in_transit=0.0, counted_on=pl.lit(END))
    never = pl.DataFrame(
        {"mostrador": [SECOND], "material": [materials["material"][3]], "on_hand": [0.0]}
    )
    stock = pl.concat([STOCK.conform_rows(f.lazy()) for f in (gone, never)]).unique(
        ("mostrador", "material"), keep="first"
    )
    lakehouse.replace_table(STOCK, stock.with_columns(pl.col("in_transit").fill_null(1.5)))
    last = pl.col("material") == materials["material"][-1]
    blank = (
        pl.when(~last).then(pl.col(name)).alias(name)
        for name in ("category", "price", "description")
    )
    lakehouse.replace_table(MATERIALS, materials.lazy().with_columns(blank))


def sampled(folder: Path) -> Both:
    """A chain that Polars can see, and no job yet."""
    here, there = folder / "here", folder / "there"
    return Both(write_sample(build_runner(here)), there, JobSpec("", (), Parameters(), END, NOW))


@pytest.fixture(scope="module")
def both(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Both:
    pair = sampled(tmp_path_factory.mktemp("both"))
    odd(pair.here)
    lay_out(pair.here.lakehouse, pair.tables)
    pair = replace(pair, spec=pair.plan("ipp-both"))
    pair.run_here(pair.spec)
    pair.run_there(pair.spec)
    return pair


@pytest.mark.parametrize("table", [RESULTS, CURVES], ids=lambda table: table.title)
def test_what_is_published_is_equal_row_for_row(both: Both, table: Table) -> None:
    expected = both.published_here(table, both.spec.job_id)
    assert len(expected) > 10
    assert_frame_equal(both.published_there(table), expected, check_exact=True)


@pytest.mark.parametrize("table", [RAW_TABLE, PROCESSED_TABLE], ids=["raw", "processed"])
def test_what_a_stage_leaves_is_equal_row_for_row(both: Both, table: Table) -> None:
    key = both.spec.raw_key if table is RAW_TABLE else both.spec.processed_key
    here = [
        pl.read_parquet(both.here.files.local_path(key(f"{m}.parquet")))
        for m in both.spec.mostradores
    ]
    there = pl.read_parquet(Path(both.files.address(key("partes"))) / "*.parquet").sort(
        "mostrador", "material"
    )
    assert there["falla"].null_count() == len(there)
    assert_frame_equal(there.drop("falla"), pl.concat(here), check_exact=True)


@pytest.mark.parametrize(
    "key", ["ipp-raw/ipp-both/raw_data.xlsx", "ipp-processed/ipp-both/processed_data.csv"]
)
def test_the_files_that_people_open_have_the_same_bytes(both: Both, key: str) -> None:
    assert both.files.local_path(key).read_bytes() == both.here.files.local_path(key).read_bytes()


@pytest.mark.parametrize("kind", ExportFormat)
@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_every_file_that_can_be_asked_for_lies_ready_as_it_would_be_made(
    both: Both, tmp_path: Path, kind: ExportFormat, comma: bool, whole: bool
) -> None:
    warehouse = LakehouseWarehouse(both.here.lakehouse)
    for asked in (
        [both.spec.mostradores] if whole else [(mostrador,) for mostrador in both.spec.mostradores]
    ):
        export = Export(both.spec.job_id, asked, kind, comma, NOW, whole=whole)
        one = None if whole else asked[0]
        made = exports.write_export(export, warehouse.iterate_rows(both.spec.job_id, one), tmp_path)
        ready = both.files.local_path(export.object_key)
        if kind is ExportFormat.PARQUET:
            assert_frame_equal(pl.read_parquet(ready), pl.read_parquet(made), check_exact=True)
        else:
            assert ready.read_bytes() == made.read_bytes()


def test_doing_a_job_again_leaves_its_rows_and_those_of_others(both: Both) -> None:
    other = both.plan("ipp-other", FIRST, SECOND, parameters=Parameters(forced_factor=0.5))
    both.run_there(other)
    before = both.published_there(RESULTS)
    both.run_there(other)
    assert_frame_equal(both.published_there(RESULTS), before, check_exact=True)
    assert set(before["job_id"]) == {"ipp-both", "ipp-other"}


def test_a_counter_gets_the_same_whoever_is_calculated_beside_it(both: Both) -> None:
    alone = both.plan("ipp-alone", SECOND)
    both.run_there(alone)
    mine = both.published_there(RESULTS, "ipp-alone").drop("job_id")
    together = (
        both.published_here(RESULTS, both.spec.job_id).filter(mostrador=SECOND).drop("job_id")
    )
    assert_frame_equal(mine, together, check_exact=True)


def test_a_workspace_whose_volumes_are_not_the_buckets_reaches_them_by_a_key_that_it_keeps(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cover a workspace on another cloud: what people open is in S3, and so is what is kept."""
    spec = both.plan("ipp-apart", FIRST)
    keys = {KEY: "key-of-the-stages", SECRET: "secret-of-the-stages"}
    with (
        run_moto(tmp_path) as aws,
        run_workspace(tmp_path / "w", build_cheap_jobs(tmp_path), secrets={"ipp": keys}) as work,
    ):
        for name, value in {
            "AWS_ENDPOINT_URL": aws, "DATABRICKS_HOST": work.url,
            "DATABRICKS_TOKEN": work.settings.token,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        s3 = client_of(aws, "s3")
        for bucket in ("the-raw", "the-processed"):
            s3.create_bucket(Bucket=bucket)
        asked = both.files.local_path(spec.raw_key("solicitud.json")).read_bytes()
        s3.put_object(Bucket="the-raw", Key="ipp-apart/solicitud.json", Body=asked)
        apart = StageSettings(
            files=tmp_path / "volumes", tables=both.tables, secret_scope="ipp", region=REGION,
            raw_bucket="the-raw", processed_bucket="the-processed",
        )  # fmt: skip
        for stage in Stage:
            run_task(stage, spec.job_id, apart)
        assert len(work.asked("/secrets/get")) == 2 * len(Stage)
        raw, processed = (
            {
                each["Key"].removeprefix("ipp-apart/")
                for each in s3.list_objects_v2(Bucket=bucket)["Contents"]
            }
            for bucket in ("the-raw", "the-processed")
        )
        part = s3.get_object(Bucket="the-processed", Key="ipp-apart/partes/00000.parquet")[
            "Body"
        ].read()
        s3.close()
    assert {"raw_data.xlsx", "partes/00000.parquet"} <= raw
    assert {
        "processed_data.csv",
        "partes/00000.parquet",
        "descargas/todos.csv",
        f"descargas/{FIRST}.xlsx",
    } <= processed
    together = both.published_here(RESULTS, both.spec.job_id).filter(mostrador=FIRST).drop("job_id")
    assert_frame_equal(
        both.published_there(RESULTS, "ipp-apart").drop("job_id"), together, check_exact=True
    )
    assert len(pl.read_parquet(io.BytesIO(part))) == len(together)


@pytest.mark.parametrize("stage", Stage)
def test_a_job_that_nobody_asked_for_is_not_found(both: Both, stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="Job no encontrado: ipp-none"):
        run_task(stage, "ipp-none", both.settings)


def test_what_was_taken_away_since_the_job_was_asked_for_is_named(
    both: Both, tmp_path: Path
) -> None:
    spec = both.plan("ipp-late", FIRST, SECOND)
    lakehouse = DeltaLakehouse(tmp_path / "lakehouse")
    for table in IMPORTABLE_TABLES.values():
        kept = pl.col("mostrador") != FIRST if table is COUNTERS else pl.lit(table is not MATERIALS)
        lakehouse.replace_table(table, both.here.lakehouse.scan_table(table).filter(kept))
    lay_out(lakehouse, tmp_path / "tables")
    late = replace(both.settings, tables=tmp_path / "tables")
    with pytest.raises(
        NotConfiguredError, match=rf"Ya no tienen configuración o renglón en mostradores: {FIRST}\."
    ):
        run_task(Stage.NORMALISER, spec.job_id, late)
    known = both.plan("ipp-empty", SECOND)
    with pytest.raises(InvalidInputError, match="Ya no hay materiales"):
        run_task(Stage.NORMALISER, known.job_id, late)


def test_a_counter_that_fails_is_named_and_the_others_are_published(
    spark: SparkSession, tmp_path: Path
) -> None:
    pair = sampled(tmp_path)
    lakehouse = pair.here.lakehouse
    for table, mostrador, column, value in (
        (CONFIGURATIONS, SECOND + 1, "target_investment", math.nan),
        (COUNTERS, FIRST, "counter_sales_value", 3e14),
    ):
        spoilt = (
            pl.when(pl.col("mostrador") == mostrador).then(value).otherwise(column).alias(column)
        )
        lakehouse.replace_table(
            table, lakehouse.scan_table(table).collect().with_columns(spoilt).lazy()
        )
    lay_out(lakehouse, pair.tables)
    spec = pair.plan("ipp-failing")
    save_spec(spec, pair.here.files)
    pair.run_here(spec)
    pair.run_there(spec)
    failures = pair.published_there(FAILURES)
    assert dict(failures.select("mostrador", "stage").iter_rows()) == {
        FIRST: "publicacion",
        SECOND + 1: "factor",
    }
    assert_frame_equal(failures, pair.published_here(FAILURES, spec.job_id))
    assert set(pair.published_there(RESULTS)["mostrador"]) == {SECOND, SECOND + 2}
    assert_frame_equal(
        pair.published_there(RESULTS), pair.published_here(RESULTS, spec.job_id), check_exact=True
    )
    key = spec.processed_key("processed_data.csv")
    assert pair.files.local_path(key).read_bytes() == pair.here.files.local_path(key).read_bytes()
    alone = pair.plan("ipp-fails", SECOND + 1)
    run_task(Stage.NORMALISER, alone.job_id, pair.settings)
    with pytest.raises(AllFailedError, match=f"Falló el mostrador {SECOND + 1}: ValueError"):
        run_task(Stage.FACTOR, alone.job_id, pair.settings)


def test_a_counter_whose_rows_are_gone_is_named_and_the_others_are_published(both: Both) -> None:
    spec = both.plan("ipp-gone")
    for stage in Stage:
        if stage is Stage.FACTOR:
            for part in (both.there / "files" / spec.raw_key("partes")).glob("*.parquet"):
                pl.read_parquet(part).filter(pl.col("mostrador") != SECOND).write_parquet(part)
                part.with_name(f".{part.name}.crc").unlink()
        run_task(stage, spec.job_id, both.settings)
    failures = both.published_there(FAILURES, spec.job_id)
    assert failures.select("mostrador", "stage").rows() == [(SECOND, "factor")]
    assert failures["cause"].to_list() == ["Faltan los renglones que dejó la etapa anterior."]
    assert set(both.published_there(RESULTS, spec.job_id)["mostrador"]) == set(spec.mostradores) - {
        SECOND
    }


def test_a_file_that_was_cut_fails_its_counters_and_no_other(both: Both) -> None:
    spec = both.plan("ipp-cut", FIRST, SECOND)
    run_task(Stage.NORMALISER, spec.job_id, both.settings)
    folder = both.there / "files" / spec.raw_key("partes")
    (part,) = folder.glob("*.parquet")
    rows = pl.read_parquet(part)
    part.with_name(f".{part.name}.crc").unlink()
    cut = folder / "cut.parquet"
    for path, mostrador in ((part, FIRST), (cut, SECOND)):
        rows.filter(pl.col("mostrador") == mostrador).write_parquet(path)
    cut.write_bytes(cut.read_bytes()[:-2_000])
    for stage in (Stage.FACTOR, Stage.PUBLICATION):
        run_task(stage, spec.job_id, both.settings)
    failures = both.published_there(FAILURES, spec.job_id)
    assert failures.select("mostrador", "stage").rows() == [(SECOND, "factor")]
    assert "está dañado (cut.parquet)" in failures["cause"][0]
    assert set(both.published_there(RESULTS, spec.job_id)["mostrador"]) == {FIRST}
    alone = both.plan("ipp-cut-alone", FIRST)
    run_task(Stage.NORMALISER, alone.job_id, both.settings)
    for part in (both.there / "files" / alone.raw_key("partes")).glob("*.parquet"):
        part.with_name(f".{part.name}.crc").unlink()
        part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(AllFailedError, match="está dañado"):
        run_task(Stage.FACTOR, alone.job_id, both.settings)


@pytest.mark.parametrize(
    "table", [*IMPORTABLE_TABLES.values(), RESULTS], ids=lambda table: table.title
)
def test_a_table_never_written_is_empty_and_has_its_columns(
    spark: SparkSession, tmp_path: Path, table: Table
) -> None:
    rows = (
        FolderTables(spark, tmp_path, DEFAULT_CATALOG)
        .scan_table(table)
        .collect("polars")
        .to_native()
    )
    assert_frame_equal(rows, pl.DataFrame(schema=table.schema))


def test_a_catalogs_table_is_read_by_its_contract(spark: SparkSession) -> None:
    """Cover columns of other types, in another order, or missing; unknown columns are left out."""
    spark.sql("CREATE SCHEMA IF NOT EXISTS bronze")
    try:
        columns = "codigo_postal INT, mostrador DECIMAL(10,0), de_otros STRING"
        spark.sql(f"CREATE TABLE bronze.mostradores ({columns}) USING parquet")
        spark.sql("INSERT INTO bronze.mostradores VALUES (6700, 7051602, 'x')")
        rows = (
            CatalogTables(spark, "spark_catalog").scan_table(COUNTERS).collect("polars").to_native()
        )
        assert_frame_equal(
            rows,
            COUNTERS.conform_rows(
                pl.LazyFrame({"mostrador": [7_051_602], "postal_code": [6_700]})
            ).collect(),
        )
        missing = replace(COUNTERS, name="bronze.nadie")
        assert (
            CatalogTables(spark, "spark_catalog")
            .scan_table(missing)
            .collect("polars")
            .to_native()
            .is_empty()
        )
    finally:
        spark.sql("DROP SCHEMA bronze CASCADE")


@pytest.mark.parametrize("table", [RESULTS, CURVES], ids=lambda table: table.title)
def test_a_catalogs_table_is_made_by_its_contract(spark: SparkSession, table: Table) -> None:
    """As Parquet: a Spark without Delta takes everything else of the statement."""
    spark.sql("CREATE SCHEMA IF NOT EXISTS gold")
    told = (replace(table.columns[-1], about="Lo que \\ diga 'alguien'."),)
    made = Table("gold.t", "t", (*table.columns[:-1], *told), table.key, table.partition_by)
    try:
        name = made.full_name("spark_catalog")
        spark.sql(create_table_sql(made, name, "PARQUET"))
        found = {
            row["name"]: row
            for row in (column._asdict() for column in spark.catalog.listColumns(name))
        }
        assert {name: row["dataType"].upper() for name, row in found.items()} == {
            column.label: column.kind.sql for column in made.columns
        }
        assert {name: row["description"] for name, row in found.items()} == {
            c.label: c.about for c in made.columns
        }
        assert [name for name, row in found.items() if row["isPartition"]] == ["job_id"]
    finally:
        spark.sql("DROP SCHEMA gold CASCADE")


@pytest.mark.parametrize("job_id", ["ipp' OR '1'='1", "ipp/..", ""])
def test_no_jobs_id_can_be_more_than_a_value(
    spark: SparkSession, tmp_path: Path, job_id: str
) -> None:
    rows = spark.createDataFrame([], columns_ddl(CURVES))
    with pytest.raises(ValueError, match="not a job's id"):
        FolderTables(spark, tmp_path, DEFAULT_CATALOG).replace_job(CURVES, rows, job_id)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_rows_that_are_here_reach_the_cluster_as_they_are(
    spark: SparkSession, tmp_path: Path, count: int
) -> None:
    """Cover every type of our schemas, also without rows: Spark Connect infers nothing then."""
    columns = {"bigint": [1, None, -1], "double": [0.5, math.inf, None], "text": ["a", None, ""]}
    columns |= {"day": [END, None, END], "flag": [True, False, None], "content": [b"\0", None, b""]}
    kinds = (pl.Int64, pl.Float64, pl.String, pl.Date, pl.Boolean, pl.Binary)
    rows = pl.DataFrame(columns, schema=dict(zip(columns, kinds, strict=True))).head(count)
    files = LocalFiles(tmp_path)
    runner = SparkRunner(
        spark, FolderTables(spark, tmp_path, DEFAULT_CATALOG), files, files, Scratch(tmp_path)
    )
    assert_frame_equal(
        runner.from_polars(rows).collect("polars").to_native(), rows, check_row_order=False
    )


def test_what_is_looked_at_several_times_gives_the_same(both: Both, spark: SparkSession) -> None:
    runner = SparkRunner(
        spark,
        FolderTables(spark, both.tables, DEFAULT_CATALOG),
        both.files,
        both.files,
        both.here.scratch,
    )
    rows = (
        runner.cache_rows(runner.scan_table(SELLOUT))
        .collect("polars")
        .to_native()
        .sort(SELLOUT.key)
    )
    assert_frame_equal(rows, both.here.lakehouse.scan_table(SELLOUT).sort(SELLOUT.key).collect())


def test_notices_rest_on_the_same_evidence(spark: SparkSession, tmp_path: Path) -> None:
    here = build_runner(tmp_path / "here")
    write_history(here)
    lay_out(here.lakehouse, tmp_path / "there")
    tables = FolderTables(spark, tmp_path / "there", DEFAULT_CATALOG)
    check_evidence(SparkRunner(spark, tables, here.files, here.files, here.scratch))
