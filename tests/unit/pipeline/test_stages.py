"""The three stages on a small made-up chain: what they write, and that they may be run again."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ipp.cli import run_cli
from ipp.core.contract import Table
from ipp.core.decision.stock_decision import Rule
from ipp.core.parameters import Parameters
from ipp.core.tables import (
    AREA_FORECAST,
    CONFIGURATIONS,
    COUNTERS,
    CURVES,
    DECISION_COLUMNS,
    MATERIALS,
    PUBLISHED_RESULTS,
    RESULTS,
    SELLOUT,
)
from ipp.core.workbook_columns import FORECAST_COLUMNS, PROCESSED_TABLE, RAW_TABLE
from ipp.errors import InvalidInputError, NotConfiguredError, NotFoundError
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import JobSpec, load_spec
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import run_stage
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.sample_chain import END, build_runner, write_sample
from tests.sheets import rows_of

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
FIRST = 7_051_602


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> LocalRunner:
    """A chain that tests read and add jobs to, but do not change."""
    return write_sample(build_runner(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def own(tmp_path: Path) -> LocalRunner:
    """A chain that a test may change."""
    return write_sample(build_runner(tmp_path))


def plan_counters(
    workspace: LocalRunner,
    job_id: str,
    *mostradores: int,
    parameters: Parameters | None = None,
    cutoff: dt.date | None = None,
) -> JobSpec:
    return plan_job(
        mostradores or None,
        parameters or Parameters(),
        LakehouseWarehouse(workspace.lakehouse),
        job_id=job_id,
        created_at=NOW,
        cutoff=cutoff,
    )


def run_stages(workspace: LocalRunner, spec: JobSpec) -> pl.DataFrame:
    for stage in Stage:
        run_stage(stage, spec, workspace, lambda _mostrador: None)
    return results_of(workspace, spec.job_id)


def results_of(workspace: LocalRunner, job_id: str) -> pl.DataFrame:
    rows = workspace.lakehouse.scan_table(RESULTS).filter(pl.col("job_id") == job_id)
    return rows.sort("mostrador", "material").collect()


def hash_files(workspace: LocalRunner, job_id: str) -> dict[str, str]:
    files = workspace.files
    keys = [*files.list_keys(f"ipp-raw/{job_id}/"), *files.list_keys(f"ipp-processed/{job_id}/")]
    return {key: hashlib.sha256(files.local_path(key).read_bytes()).hexdigest() for key in keys}


def test_every_product_of_the_catalogue_gets_a_row_in_every_mostrador(shared: LocalRunner) -> None:
    rows = run_stages(shared, plan_counters(shared, "ipp-all"))
    materials = shared.lakehouse.scan_table(MATERIALS).select("material").collect()
    assert rows.select("mostrador", "material").is_unique().all()
    assert len(rows) == 4 * len(materials)
    assert set(rows["material"]) == set(materials["material"])


def test_running_every_stage_again_leaves_the_same_bytes(shared: LocalRunner) -> None:
    spec = plan_counters(shared, "ipp-again")
    first, bytes_before = run_stages(shared, spec), hash_files(shared, spec.job_id)
    curves = shared.lakehouse.scan_table(CURVES, [spec.job_id]).sort("mostrador", "investment")
    before = curves.collect()
    assert run_stages(shared, spec).equals(first)
    assert hash_files(shared, spec.job_id) == bytes_before
    assert curves.collect().equals(before)
    assert len(before) > 10


def test_a_job_leaves_the_rows_of_others_alone(shared: LocalRunner) -> None:
    before = run_stages(shared, plan_counters(shared, "ipp-before", FIRST))
    run_stages(
        shared, plan_counters(shared, "ipp-after", FIRST, parameters=Parameters(forced_factor=0.5))
    )
    assert results_of(shared, "ipp-before").equals(before)


def test_units_and_money_are_conserved_between_stages(shared: LocalRunner) -> None:
    spec = plan_counters(shared, "ipp-conserved")
    rows = run_stages(shared, spec)
    for mostrador in spec.mostradores:
        raw, processed = (
            pl.read_parquet(shared.files.local_path(key(f"{mostrador}.parquet")))
            for key in (spec.raw_key, spec.processed_key)
        )
        mine = rows.filter(mostrador=mostrador)
        assert processed.select(raw.columns).equals(raw)
        predictive = raw["inventory_model"][0] == "IPP"
        start = mine["rule_optimum"] if predictive else processed["stocked_units"]
        assert predictive or mine["rule_optimum"].to_list() == processed["bumped"].to_list()
        assert (start + mine["budget_change"]).to_list() == mine["optimum"].to_list()
        sales = shared.lakehouse.scan_table(SELLOUT).filter(
            (pl.col("mostrador") == mostrador)
            & (pl.col("date") > spec.cutoff - dt.timedelta(days=365))
        )
        assert raw["sales_365d"].sum() == sales.select(pl.col("units").sum()).collect().item()


def test_the_files_carry_the_headings_people_know(shared: LocalRunner) -> None:
    spec = plan_counters(shared, "ipp-files", FIRST, FIRST + 1)
    run_stages(shared, spec)
    sheet = rows_of(shared.files.local_path(spec.raw_key("raw_data.xlsx")))
    assert list(sheet[0]) == [c.label for c in RAW_TABLE.columns]
    assert len(sheet) == 1 + 2 * 120
    text = shared.files.local_path(spec.processed_key("processed_data.csv")).read_text(
        encoding="utf-8"
    )
    assert text.startswith("\ufeff" + ",".join(c.label for c in PROCESSED_TABLE.columns) + "\n")
    back = pl.read_csv(shared.files.local_path(spec.processed_key("processed_data.csv")))
    assert back["joroba"].sum() == sum(
        pl.read_parquet(shared.files.local_path(spec.processed_key(f"{m}.parquet")))["bumped"].sum()
        for m in spec.mostradores
    )


def test_the_workbook_of_the_traditional_model_alone_has_no_empty_columns_of_the_other(
    shared: LocalRunner,
) -> None:
    spec = plan_counters(shared, "ipp-traditional", FIRST)
    run_stages(shared, spec)
    sheet = rows_of(shared.files.local_path(spec.raw_key("raw_data.xlsx")))
    assert list(sheet[0]) == [c.label for c in RAW_TABLE.columns if c not in FORECAST_COLUMNS]


@pytest.mark.parametrize(
    ("column", "code"), [("include_over_the_counter", "OO"), ("include_device", "DMDM")]
)
def test_a_group_switched_off_is_not_stocked_and_says_so(
    own: LocalRunner, column: str, code: str
) -> None:
    off = (
        own.lakehouse.scan_table(CONFIGURATIONS)
        .with_columns(pl.lit(value=False).alias(column))
        .collect()
    )
    own.lakehouse.replace_table(CONFIGURATIONS, off.lazy())
    rows = run_stages(own, plan_counters(own, "ipp-off", FIRST)).filter(category=code)
    assert len(rows) > 0
    assert (rows["optimum"] == 0).all()
    assert rows["exclusion"].str.contains("deja fuera el grupo").all()


def test_a_forecast_replaces_the_areas_own_demand_where_it_speaks(own: LocalRunner) -> None:
    row = own.lakehouse.scan_table(COUNTERS).filter(mostrador=FIRST).collect().row(0, named=True)
    material = own.lakehouse.scan_table(MATERIALS).collect()["material"][0]
    before = run_stages(own, plan_counters(own, "ipp-own", FIRST))
    forecast = pl.DataFrame(
        {"postal_code": [row["postal_code"]], "material": [material], "area_demand": [777.0]}
    )
    own.lakehouse.replace_table(AREA_FORECAST, forecast.lazy())
    after = run_stages(own, plan_counters(own, "ipp-forecast", FIRST))
    assert after.filter(material=material)["area_demand"].item() == 777
    others = pl.col("material") != material
    assert after.filter(others)["area_demand"].equals(before.filter(others)["area_demand"])


def test_a_mostrador_by_hand_through_the_stages(tmp_path: Path) -> None:
    """Two counters of one area; the first sold 73 of material 11 in a year, 27 in 90 days."""
    sales = [(1, 11, 200, 46.0), (1, 11, 6, 27.0), (2, 11, 10, 45.0), (2, 12, 300, 73.0)]
    dated = [(m, p, END - dt.timedelta(days=days), units) for m, p, days, units in sales]
    tables: list[tuple[Table, Any]] = [
        (COUNTERS, {"mostrador": [1, 2], "postal_code": 6700, "counter_name": ["Uno", "Dos"],
                    "counter_sales_value": [900.0, None]}),
        (MATERIALS, {"material": [11, 12], "price": [20.0, 50.0], "category": "EPEP"}),
        (CONFIGURATIONS, {"mostrador": [1, 2], "inventory_model": "SPP",
                          "target_investment": [444.0, None]}),
        (SELLOUT, pl.DataFrame(dated, schema=SELLOUT.schema, orient="row")),
    ]  # fmt: skip
    workspace = build_runner(tmp_path)
    for table, cells in tables:
        workspace.lakehouse.replace_table(table, pl.LazyFrame(cells))
    parameters = Parameters(cover_days=15)
    spec = plan_counters(workspace, "ipp-hand", parameters=parameters, cutoff=END)
    results = run_stages(workspace, spec)
    raw = pl.read_parquet(workspace.files.local_path(spec.raw_key("1.parquet"))).row(0, named=True)
    # The area sold 118 in the year, 72 in the quarter: 30 × (118/365 + 2 × 72/90) / 3 = 19.2.
    assert (raw["area_demand"], raw["sales_365d"], raw["sales_90d"]) == (19.0, 73.0, 27.0)
    # Material 12: 30 × 73/365 / 3 = 2. The forecast is worth 19 × 20 + 2 × 50 = 480.
    assert (raw["area_demand_value"], raw["area_forecast_value"]) == (380.0, 480.0)
    assert (raw["counter_sales_value"], raw["ratio"], raw["counter_name"]) == (900.0, 1.875, "Uno")
    # 19 × 1.875 = 35.625, trimmed by 0.9, for half a month.
    assert (raw["factor_6"], raw["trim"], raw["factor_9"]) == (36.0, 0.9, 16.031)
    assert (raw["factor_c"], raw["factor_d"], raw["cover_share"]) == (0.266, 3.99, 0.5)
    other = pl.read_parquet(workspace.files.local_path(spec.raw_key("2.parquet"))).row(
        0, named=True
    )
    assert other["counter_sales_value"] == 300.0  # 45 × 20 / 3
    by_counter = {
        m: t for m, t in results.select("mostrador", "target_investment").unique().iter_rows()
    }
    assert by_counter == {1: 444.0, 2: pytest.approx(300 / 30 * 27.25)}
    parameters = Parameters(target_investment=99.0)
    forced = plan_counters(workspace, "ipp-99", 1, parameters=parameters, cutoff=END)
    assert set(run_stages(workspace, forced)["target_investment"]) == {99.0}


def test_a_reader_sees_nothing_of_a_job_before_it_is_published(shared: LocalRunner) -> None:
    spec = plan_counters(shared, "ipp-hidden", FIRST)
    for stage in list(Stage)[:-1]:
        run_stage(stage, spec, shared, lambda _mostrador: None)
    assert results_of(shared, spec.job_id).is_empty()


@pytest.mark.parametrize("job_id", ["ipp-none", "../ipp-kept", "", "ipp-kept/../ipp-kept"])
def test_a_job_that_is_not_there(shared: LocalRunner, job_id: str) -> None:
    with pytest.raises(NotFoundError, match="Job no encontrado"):
        load_spec(job_id, shared.files)


def test_mostradores_without_configuration_are_named_and_nothing_starts(
    shared: LocalRunner,
) -> None:
    with pytest.raises(NotConfiguredError, match=r"Sin configuración: 1, 2\."):
        plan_counters(shared, "ipp-unknown", 1, FIRST, 2)


SECOND = FIRST + 1
"""The sample's first counter of the predictive model."""


def test_a_counter_of_the_predictive_model_is_expected_to_sell_as_it_did(
    shared: LocalRunner,
) -> None:
    spec = plan_counters(shared, "ipp-predictive", SECOND)
    rows = run_stages(shared, spec)
    assert set(rows["inventory_model"]) == {"IPP"}
    assert rows["rounding_factor"].null_count() == len(rows)
    sold = shared.lakehouse.scan_table(SELLOUT).filter(pl.col("mostrador") == SECOND).collect()
    days = sold["date"].n_unique()  # of a whole counter, which sells something every day
    usual = float(sold["units"].sum()) / days * spec.parameters.cover_days
    assert rows["expected_demand"].sum() == pytest.approx(usual, rel=0.35)


@pytest.mark.parametrize("mostrador", [FIRST, SECOND], ids=["traditional", "predictive"])
def test_what_a_counter_gets_does_not_depend_on_who_is_calculated_beside_it(
    shared: LocalRunner, mostrador: int
) -> None:
    alone = run_stages(shared, plan_counters(shared, "ipp-alone", mostrador))
    beside = run_stages(shared, plan_counters(shared, "ipp-beside")).filter(mostrador=mostrador)
    assert beside.drop("job_id").equals(alone.drop("job_id"))


def test_the_limits_of_the_predictive_model_are_published_beside_jobs_that_have_none(
    shared: LocalRunner,
) -> None:
    older = RESULTS.conform_rows(pl.LazyFrame({"job_id": ["ipp-older"], "mostrador": [FIRST]}))
    shared.lakehouse.replace_partitions(RESULTS, older, ["ipp-older"])
    run_stages(shared, plan_counters(shared, "ipp-limits", FIRST, SECOND))
    stored = shared.lakehouse.scan_table(PUBLISHED_RESULTS, ["ipp-older", "ipp-limits"]).collect()
    limits = [column.name for column in DECISION_COLUMNS]
    predictive = stored.filter(inventory_model="IPP")
    assert set(predictive["rule"]) <= set(Rule)
    assert (predictive["minimum_units"] <= predictive["optimum"]).all()
    others = stored.filter(pl.col("inventory_model").fill_null("") != "IPP").select(limits)
    assert others.null_count().row(0) == (len(others),) * len(limits)
    assert shared.lakehouse.scan_table(RESULTS).collect_schema() == RESULTS.schema


def test_no_workbook_where_a_sheet_cannot_hold_all_and_one_of_a_mostrador_for_the_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ipp.pipeline.stages.normaliser_stage.MAX_SHEET_ROWS", 200)
    monkeypatch.setenv("IPP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run_cli(["sample", "--mostradores", "2", "--materiales", "120", "--dias", "60"]) == 0
    assert run_cli(["run", "--todos"]) == 0
    (job,) = (tmp_path / "home" / "archivos" / "ipp-raw").iterdir()
    assert list(job.glob("*.xlsx")) == []
    for step, table in (("normalizador", RAW_TABLE), ("factor", PROCESSED_TABLE)):
        asked = ["results", job.name, "--etapa", step, "--mostrador", str(SECOND)]
        asked += ["--salida", f"{step}.xlsx"]
        assert run_cli(asked) == 0
        heading, *rows = rows_of(tmp_path / f"{step}.xlsx")
        assert list(heading) == [column.label for column in table.columns]
        assert [row[heading.index("Cliente")] for row in rows] == [SECOND] * 120
    assert run_cli(["results", job.name, "--etapa", "factor"]) == 2
    assert "Diga cuál con --salida" in capsys.readouterr().err


def test_a_mostrador_that_is_only_configured_is_named(own: LocalRunner) -> None:
    known = own.lakehouse.scan_table(COUNTERS).filter(pl.col("mostrador") != FIRST).collect()
    own.lakehouse.replace_table(COUNTERS, known.lazy())
    with pytest.raises(NotConfiguredError, match=rf"sin renglón en mostradores: {FIRST}\."):
        plan_counters(own, "ipp-halfway", FIRST, FIRST + 1)


def test_an_empty_catalogue_is_said_before_anything_starts(own: LocalRunner) -> None:
    own.lakehouse.replace_table(MATERIALS, own.lakehouse.scan_table(MATERIALS).limit(0))
    with pytest.raises(InvalidInputError, match="No hay materiales"):
        plan_counters(own, "ipp-empty", FIRST)


def test_a_mostrador_without_sales_or_forecast_still_gets_its_rows(own: LocalRunner) -> None:
    own.lakehouse.replace_table(SELLOUT, own.lakehouse.scan_table(SELLOUT).limit(0))
    rows = run_stages(own, plan_counters(own, "ipp-silent", FIRST, cutoff=END))
    assert len(rows) == 120
    assert (rows["optimum"] == 0).all()


@pytest.mark.parametrize("day", [END + dt.timedelta(days=9), END - dt.timedelta(days=400)])
def test_a_cutoff_outside_the_sell_out_is_refused_with_its_limits(
    shared: LocalRunner, day: dt.date
) -> None:
    with pytest.raises(InvalidInputError, match=f"No hay venta que llegue al {day}.*al {END}"):
        plan_counters(shared, "ipp-x", FIRST, cutoff=day)


def test_without_sell_out_a_cutoff_must_be_given(tmp_path: Path) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    lakehouse.replace_table(
        CONFIGURATIONS, pl.LazyFrame({"mostrador": [1], "inventory_model": ["SPP"]})
    )
    lakehouse.replace_table(COUNTERS, pl.LazyFrame({"mostrador": [1], "postal_code": [6000]}))
    lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": [11], "price": [1.0]}))
    with pytest.raises(InvalidInputError, match="No hay sell-out"):
        plan_job((1,), Parameters(), LakehouseWarehouse(lakehouse), job_id="ipp-x", created_at=NOW)
