"""All that the contract accepts: sensible figures or a mostrador named, and never all memory."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ipp.core.contract import Kind, Table
from ipp.core.parameters import Parameters
from ipp.core.tables import (
    AREA_FORECAST,
    CONFIGURATIONS,
    COUNTERS,
    FAILURES,
    MATERIALS,
    PREDICTIVE_MODEL,
    RESULTS,
    SELLOUT,
    TRADITIONAL_MODEL,
)
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.pipeline.runners.stage_execution import AllFailedError
from ipp.pipeline.stages import run_stage
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.sample_chain import build_runner

END = dt.date(2026, 10, 31)
NOW = dt.datetime(2026, 11, 1, 12, 0, tzinfo=dt.UTC)
MAX_MEMORY_MB = 1_000
MODELS = {1: PREDICTIVE_MODEL, 2: TRADITIONAL_MODEL}
MATERIAL_IDS = (100, 101, 102)


def extremes(table: Table, name: str, *others: float | None) -> st.SearchStrategy[Any]:
    """The contract's least and most for a cell, and ``others``; None where it may be empty."""
    column = table.by_name[name]
    values = [column.minimum, column.maximum, *others, *([] if column.required else [None])]
    whole = column.kind is Kind.COUNT
    return st.sampled_from(
        [int(value) if whole and value is not None else value for value in values]
    )


@st.composite
def homes(draw: st.DrawFn) -> Mapping[str, list[dict[str, Any]]]:
    """The rows of each table: two mostradores of one area, one of each model, three products."""

    def row(table: Table, **others: tuple[float | None, ...]) -> dict[str, Any]:
        return {name: draw(extremes(table, name, *usual)) for name, usual in others.items()}

    usual = {
        "price": (12.5, 3_000.0),
        "inner_pack": (6,),
        "margin": (),
        "shelf_life": (30.0,),
        "minimum": (),
        "maximum": (),
    }
    days = draw(st.lists(st.sampled_from([0, 1, 30, 364]), min_size=1, max_size=3, unique=True))
    return {
        MATERIALS.name: [{"material": m, **row(MATERIALS, **usual)} for m in MATERIAL_IDS],
        COUNTERS.name: [
            {
                "mostrador": m, "postal_code": 6700, **row(COUNTERS, counter_sales_value=(5e4,)),
            } for m in MODELS
        ],
        CONFIGURATIONS.name: [
            {
                "mostrador": m, "inventory_model": model,
                **row(CONFIGURATIONS, target_investment=(3_500_000.0,)),
            }
            for m, model in MODELS.items()
        ],
        SELLOUT.name: [
            {
                "mostrador": m, "material": material, "date": END - dt.timedelta(days=day),
                **row(SELLOUT, units=(3.0,)),
            }
            for m in MODELS
            for material in MATERIAL_IDS[:2]
            for day in days
        ],
        AREA_FORECAST.name: [
            {"postal_code": 6700, "material": m, **row(AREA_FORECAST, area_demand=(20.0,))}
            for m in draw(st.sets(st.sampled_from(MATERIAL_IDS)))
        ],
    }  # fmt: skip


@settings(max_examples=12, phases=[Phase.generate])
@given(homes(), st.sampled_from([1.0, 21.0, 180.0]), st.sampled_from([3_500.0, 1e7]))
def test_what_the_contract_lets_in_has_figures_or_a_cause(
    home: Mapping[str, list[dict[str, Any]]], cover_days: float, max_price: float
) -> None:
    tables = {
        table.name: table for table in (MATERIALS, COUNTERS, CONFIGURATIONS, SELLOUT, AREA_FORECAST)
    }
    with tempfile.TemporaryDirectory() as folder:
        workspace = build_runner(Path(folder))
        lakehouse = workspace.lakehouse
        for name, cells in home.items():
            filled = {c.name: c.default for c in tables[name].columns if c.default is not None}
            schema = tables[name].schema
            lakehouse.replace_table(
                tables[name], pl.LazyFrame([filled | row for row in cells], schema=schema)
            )
        parameters = Parameters(cover_days=cover_days, max_price=max_price)
        warehouse = LakehouseWarehouse(lakehouse)
        spec = plan_job(None, parameters, warehouse, job_id="ipp-most", created_at=NOW)
        causes = list[str]()
        try:
            for stage in Stage:
                run_stage(stage, spec, workspace, lambda _mostrador: None)
        except AllFailedError as error:
            causes = [error.message]
        failed = {
            row["mostrador"]: row["cause"]
            for row in lakehouse.scan_table(FAILURES).collect().to_dicts()
        }
        rows = lakehouse.scan_table(RESULTS).collect()
    for cause in [*causes, *failed.values()]:
        assert "material 10" in cause, "the product to look at, not the words of a library"
    assert set(rows["mostrador"]) == (set() if causes else set(MODELS) - set(failed))
    floats = rows.select(pl.col(pl.Float64))
    assert floats.select(pl.all().is_finite().all()).row(0).count(False) == 0
    stocked = rows.select(
        "optimum", "rule_optimum", "demand_p50", "demand_p90", "demand_p95", "expected_sales"
    )
    assert stocked.select(pl.all().min() >= 0).row(0).count(False) == 0
    assert (rows["demand_p50"] <= rows["demand_p90"]).all()
    assert (rows["demand_p90"] <= rows["demand_p95"]).all()
    assert (rows["expected_sales"] <= rows["expected_demand"] * 1.001 + 0.001).all()
    value = (rows["optimum"] * rows["price"].fill_null(0)).to_list()
    assert rows["optimum_value"].to_list() == pytest.approx(value, rel=1e-9, abs=1e-3)


MEASURED = """
import resource, sys
from pathlib import Path
from ipp.cli import run_cli

resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  \
# a failure must not take the machine's memory
status = run_cli(sys.argv[1:])
# The peak of this program alone: getrusage would count the memory of the process \
that it was forked from.
(peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() \
if line.startswith("VmHWM:"))
print("peak", int(peak) // 1024)
sys.exit(status)
"""


def imported(home: Path, table: str, heading: str, *rows: str) -> None:
    file = home.parent / f"{table}.csv"
    file.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    ran(home, "import", table, str(file))


CONFIGURED = "mostrador,tipo_inventario,monto_deseado"
SOLD = "mostrador,material,fecha,piezas"


def ran(home: Path, *arguments: str) -> str:
    environment = os.environ | {"IPP_HOME": str(home)}
    command = [sys.executable, "-c", MEASURED, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def peak_mb(told: str) -> int:
    return int(told.rpartition("peak ")[2])


memory_is_told = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@memory_is_told
@pytest.mark.parametrize("materials", [2, pytest.param(300, marks=pytest.mark.long)])
def test_a_run_with_the_most_units_of_a_sale_keeps_its_memory(
    tmp_path: Path, materials: int
) -> None:
    """A counter of the predictive model, two days old, with one cell at the contract's maximum."""
    home, several = tmp_path / "home", range(100, 100 + materials)
    imported(home, "mostradores", "mostrador,codigo_postal", "7051602,06700")
    imported(home, "materiales", "material,precio", *(f"{m},12.5" for m in several))
    imported(home, "configuraciones", CONFIGURED, "7051602,IPP,3500000")
    first = [f"7051602,{m},2026-10-30,10000000" for m in several[:-1]]
    imported(home, "sellout", SOLD, *first, f"7051602,{several[-1]},2026-10-31,3")
    told = ran(home, "run", "--todos")
    assert "3,500,000.00" in told
    assert peak_mb(told) < MAX_MEMORY_MB


@pytest.mark.long
@memory_is_told
def test_a_run_with_the_largest_forecast_of_an_area_keeps_its_memory(tmp_path: Path) -> None:
    home, several = tmp_path / "home", range(100, 106)
    heading = "mostrador,codigo_postal,monto_venta_mostrador"
    imported(home, "mostradores", heading, "7051602,06700,1000000000000")
    imported(home, "materiales", "material,precio", *(f"{m},3000" for m in several))
    imported(home, "configuraciones", CONFIGURED, "7051602,SPP,1000000000000")
    imported(home, "sellout", SOLD, "7051602,100,2026-10-31,5")
    forecast = [f"06700,{m},1000000000" for m in several]
    imported(home, "pronostico-cp", "codigo_postal,material,ctd_umb", *forecast)
    told = ran(home, "run", "--todos")
    assert "1,000,000,000,000.00" in told
    assert peak_mb(told) < MAX_MEMORY_MB
