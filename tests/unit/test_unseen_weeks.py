"""Weeks missing from a counter's sell-out, through the real stages: unseen, not zero demand."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ipp.cli import run_cli
from ipp.core.contract import Table
from ipp.core.parameters import Parameters
from ipp.core.predictive.weeks import WEEK_DAYS
from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS, NOTICES, SELLOUT
from ipp.entrypoints.local_wiring import build_application
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import run_stage
from ipp.settings import Settings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse

END = dt.date(2026, 10, 25)
NOW = dt.datetime(2026, 10, 26, 12, 0, tzinfo=dt.UTC)
AREA, ELSEWHERE = 6_700, 44_100
COUNTERS_OF_AREA = tuple(range(7_051_602, 7_051_612))
NEIGHBOUR = 7_051_700
"""A counter of another area, whose sell-out goes on to the cutoff."""
MATERIAL_IDS = tuple(range(100, 280))
CATEGORIES = ("OTC", "GG", "EPEP", "DMDM")
COVER_WEEKS = 3
LAST_FOUR = range(4)
FOUR_BEFORE = range(5, 9)


@dataclass(frozen=True)
class Area:
    """Each counter's true weekly demand, and what it did sell: counters × products × weeks."""

    mean: np.ndarray
    sold: np.ndarray


def drawn(weeks: int, size: float) -> Area:
    """Demand without trend or season; ``size`` is the negative binomial's, infinite for Poisson."""
    rng = np.random.default_rng(weeks)
    shape = (len(COUNTERS_OF_AREA), len(MATERIAL_IDS))
    mean = rng.lognormal(0, 0.4, shape[0])[:, None] * rng.lognormal(-0.5, 1.2, shape[1])
    rate = mean[:, :, None] * np.ones(weeks)
    return Area(mean, rng.poisson(rate if np.isinf(size) else rng.gamma(size, rate / size)))


def fill(lakehouse: Lakehouse, sold: np.ndarray) -> None:
    """Store the area's chain, each week's sales on one day, the latest week last in ``sold``."""
    counter, product, week = np.nonzero(sold)
    ago = WEEK_DAYS * (sold.shape[2] - 1 - week) + (counter + product) % WEEK_DAYS
    days = np.datetime64(END) - ago.astype("timedelta64[D]")
    sellout = pl.DataFrame(
        {
            "mostrador": np.array(COUNTERS_OF_AREA)[counter],
            "material": np.array(MATERIAL_IDS)[product],
            "date": days,
            "units": sold[counter, product, week].astype(np.float64),
        },
        schema_overrides={"date": pl.Date},
    )
    elsewhere = pl.DataFrame([(NEIGHBOUR, 100, END, 1.0)], schema=SELLOUT.schema, orient="row")
    everyone = [*COUNTERS_OF_AREA, NEIGHBOUR]
    models = ["IPP"] * len(COUNTERS_OF_AREA) + ["SPP"]
    codes = [AREA] * len(COUNTERS_OF_AREA) + [ELSEWHERE]
    categories = [CATEGORIES[m % len(CATEGORIES)] for m in MATERIAL_IDS]
    tables: list[tuple[Table, dict[str, object]]] = [
        (COUNTERS, {"mostrador": everyone, "postal_code": codes, "counter_sales_value": 50_000.0}),
        (MATERIALS, {"material": MATERIAL_IDS, "price": 25.0, "category": categories}),
        (
            CONFIGURATIONS,
            {"mostrador": everyone, "inventory_model": models, "target_investment": 30_000.0},
        ),
    ]
    for table, cells in tables:
        lakehouse.replace_table(table, table.conform_rows(pl.LazyFrame(cells)))
    lakehouse.replace_table(
        SELLOUT, pl.concat([SELLOUT.conform_rows(sellout.lazy()).collect(), elsewhere]).lazy()
    )


def without(sold: np.ndarray, weeks: range, counter: int | None = None) -> np.ndarray:
    """Return sales without ``weeks``, counted back from the last as 0, of all counters or one."""
    left = sold.copy()
    left[
        slice(None) if counter is None else counter, :, [sold.shape[2] - 1 - week for week in weeks]
    ] = 0
    return left


def forecast(folder: Path, sold: np.ndarray) -> pl.DataFrame:
    """Return Job 1's output by counter: units expected over the cover period, and unseen weeks."""
    lakehouse = DeltaLakehouse(folder / "lakehouse")
    fill(lakehouse, sold)
    workspace = LocalRunner(lakehouse, LocalFiles(folder / "files"), Scratch(folder / "scratch"))
    warehouse = LakehouseWarehouse(lakehouse)
    spec = plan_job(COUNTERS_OF_AREA, Parameters(), warehouse, job_id="ipp-weeks", created_at=NOW)
    assert (spec.cutoff, spec.parameters.cover_days) == (END, WEEK_DAYS * COVER_WEEKS)
    run_stage(Stage.NORMALISER, spec, workspace, lambda _mostrador: None)
    raw = pl.concat(
        [
            pl.read_parquet(workspace.files.local_path(spec.raw_key(f"{m}.parquet")))
            for m in spec.mostradores
        ]
    )
    of_counter = raw.group_by("mostrador").agg(
        pl.col("forecast_mean").sum(), pl.col("unseen_weeks").drop_nulls().unique()
    )
    return of_counter.sort("mostrador")


def share_of_truth(area: Area, found: pl.DataFrame, counter: int | None = None) -> float:
    """What is forecast of what is truly expected, for all counters or for one."""
    those = slice(None) if counter is None else slice(counter, counter + 1)
    return float(found["forecast_mean"][those].sum() / (COVER_WEEKS * area.mean[those].sum()))


areas = pytest.mark.parametrize(
    ("weeks", "size"), [(60, np.inf), (60, 2.0), (104, np.inf), (104, 2.0)], ids=str
)
gaps = pytest.mark.parametrize(
    "gap", [LAST_FOUR, FOUR_BEFORE], ids=["the last four weeks", "four weeks before"]
)


@areas
@gaps
@pytest.mark.parametrize("whole", [True, False], ids=["of the area", "of a counter"])
def test_who_lacks_files_of_four_weeks_is_forecast_as_it_sells(
    tmp_path: Path, weeks: int, size: float, gap: range, whole: bool
) -> None:
    area = drawn(weeks, size)
    counter = int(area.mean.sum(axis=1).argmax())
    found = forecast(tmp_path, without(area.sold, gap, None if whole else counter))
    for those in [None] if whole else [None, counter]:
        assert 0.95 <= share_of_truth(area, found, those) <= 1.05
    first, last = (END - dt.timedelta(days=WEEK_DAYS * week) for week in (gap[-1] + 1, gap[0]))
    told = [f"del {first + dt.timedelta(days=1)} al {last}"]
    assert found["unseen_weeks"].to_list() == [
        told if whole or n == counter else [] for n in range(len(found))
    ]


def test_whoever_runs_a_job_is_told_which_weeks_of_which_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IPP_HOME", str(tmp_path))
    lakehouse = build_application(Settings(tmp_path)).runner.lakehouse
    area = drawn(60, 2.0)
    fill(lakehouse, without(without(area.sold, LAST_FOUR, 0), range(12, 13), 3))
    assert run_cli(["run", "--todos"]) == 0
    out = capsys.readouterr().out
    told = re.findall(r"Aviso: El mostrador (\d+) no tiene venta del ([\d-]+) al ([\d-]+):", out)
    assert told == [
        (str(COUNTERS_OF_AREA[0]), "2026-09-28", "2026-10-25"),
        (str(COUNTERS_OF_AREA[3]), "2026-07-27", "2026-08-02"),
    ]
    (job_id,) = lakehouse.scan_table(NOTICES).collect()["job_id"].unique()
    assert run_cli(["results", job_id, "--json"]) == 0
    notices = json.loads(capsys.readouterr().out)["notices"]
    assert [notice["mostrador"] for notice in notices] == [COUNTERS_OF_AREA[0], COUNTERS_OF_AREA[3]]
    rows = [(job_id, NEIGHBOUR + n, f"de {n}") for n in range(15)]
    more = pl.DataFrame(rows, schema=NOTICES.schema, orient="row")
    few = lakehouse.scan_table(NOTICES).collect()
    lakehouse.replace_table(NOTICES, pl.concat([few, more]).lazy())
    assert run_cli(["results", job_id]) == 0
    out = capsys.readouterr().out
    assert (out.count("Aviso: "), "y 7 más" in out) == (10, True), "no more than people read"
    fill(lakehouse, area.sold)
    assert run_cli(["run", "--todos"]) == 0
    assert "Aviso" not in capsys.readouterr().out
