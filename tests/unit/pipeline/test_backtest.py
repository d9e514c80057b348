"""``ipp backtest`` on files as people have them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ipp.cli import run_cli

MONDAY = dt.date(2024, 1, 1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPP_HOME", str(tmp_path / "home"))


def weekly(path: Path, weeks: int = 60, series: int = 25) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    level = rng.gamma(1.0, 5.0, series)
    rows = pl.DataFrame(
        {
            "tienda": [f"{n % 3:03}" for n in range(series) for _ in range(weeks)],
            "producto": [f"p{n}" for n in range(series) for _ in range(weeks)],
            "fecha": [MONDAY + dt.timedelta(weeks=w) for _ in range(series) for w in range(weeks)],
            "piezas": rng.poisson(np.repeat(level, weeks)),
        }
    )
    rows.write_csv(path) if path.suffix == ".csv" else rows.write_parquet(path)
    return rows


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    status = run_cli(["backtest", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    return dict(json.loads(out))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run_cli(["backtest", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_the_costs_of_all_periods_are_the_cost_and_each_is_its_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weekly(file := tmp_path / "demanda.csv")
    found = told(capsys, "--demanda", file, "--inicio", "2024-12-02", "--costo-mantener", "0.5")
    assert found["series"] == 25
    assert [period["period"] for period in found["periods"]][:2] == ["2024-12-02", "2024-12-09"]
    assert len(found["periods"]) == 12
    for period, cost in zip(found["periods"], found["cost_per_period"], strict=True):
        assert period["holding_cost"] == pytest.approx(0.5 * period["held"])
        assert period["shortage_cost"] == pytest.approx(period["demand"] - period["served"])
        assert cost == pytest.approx(period["holding_cost"] + period["shortage_cost"])
    assert found["cost"] == pytest.approx(sum(found["cost_per_period"]))
    demand, served = (
        sum(period[name] for period in found["periods"]) for name in ("demand", "served")
    )
    assert found["fill_rate"] == pytest.approx(served / demand, abs=1e-6)


@pytest.mark.parametrize("policy", ["ipp", "spp", "ses", "media13"])
def test_a_csv_and_a_parquet_of_the_same_rows_give_the_same(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("d.csv", "d.parquet"):
        weekly(tmp_path / name)
    one, other = (
        told(capsys, "--demanda", tmp_path / name, "--politica", policy) | {"seconds": 0}
        for name in ("d.csv", "d.parquet")
    )
    assert one == other


def test_the_stock_it_begins_with_and_what_is_on_its_way_are_sold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = weekly(file := tmp_path / "demanda.csv", series=2)
    keys = rows.select("tienda", "producto").unique(maintain_order=True)
    columns = {"existencia": [1_000, 0], "en_transito_1": [0, 500], "en_transito_2": [0, 0]}
    stock = keys.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
    stock.write_csv(inventory := tmp_path / "inventario.csv")
    found = told(capsys, "--demanda", file, "--inventario", inventory, "--inicio", "2025-02-17")
    assert [period["served"] == period["demand"] for period in found["periods"]] == [True] * 1
    assert found["periods"][0]["held"] == 1_500 - found["periods"][0]["demand"]


def test_each_order_is_written_and_they_add_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weekly(file := tmp_path / "demanda.csv")
    found = told(capsys, "--demanda", file, "--pedidos", out := tmp_path / "pedidos.csv")
    written = pl.read_csv(out, schema_overrides={"tienda": pl.String})
    assert written.columns == ["tienda", "producto", "fecha", "pedido"]
    assert written["pedido"].sum() == found["orders"] > 0
    assert written["tienda"].str.len_chars().unique().to_list() == [
        3
    ]  # a place's zeros are its name


def test_the_next_order_alone_is_for_the_period_after_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weekly(file := tmp_path / "demanda.csv")
    found = told(
        capsys, "--demanda", file, "--pronostico-solo", "--pedidos", out := tmp_path / "p.parquet"
    )
    assert found["period"] == str(MONDAY + dt.timedelta(weeks=60))
    assert pl.read_parquet(out)["pedido"].sum() == found["orders"] > 0


def test_days_are_added_up_to_weeks_that_end_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = 7 * 30 + 3
    frame = pl.DataFrame(
        {
            "producto": ["a"] * days,
            "fecha": [MONDAY + dt.timedelta(days=n) for n in range(days)],
            "piezas": [1] * days,
        }
    )
    frame.write_csv(file := tmp_path / "dias.csv")
    found = told(capsys, "--demanda", file, "--periodo", "semana", "--politica", "media13")
    assert {period["demand"] for period in found["periods"]} == {7.0}
    assert found["periods"][-1]["period"] == str(MONDAY + dt.timedelta(days=days - 7))


def test_what_had_run_out_is_not_learnt_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = weekly(tmp_path / "x.csv").with_columns(en_existencia=pl.lit(1))
    late = pl.col("fecha") >= dt.date(2024, 12, 2)
    dry = rows.with_columns(
        piezas=pl.when(late).then(0).otherwise("piezas"),
        en_existencia=pl.when(late).then(0).otherwise(1),
    )
    orders = {}
    for name, frame in (("dicho", dry), ("callado", dry.drop("en_existencia"))):
        frame.write_csv(file := tmp_path / f"{name}.csv")
        orders[name] = told(capsys, "--demanda", file, "--pronostico-solo")["orders"]
    assert orders["dicho"] > 2 * orders["callado"]


def test_the_frontier_is_drawn_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weekly(file := tmp_path / "demanda.csv")
    assert (
        run_cli(
            [
                "backtest",
                "--demanda",
                str(file),
                "--plazo",
                "1",
                "--frontera",
                str(out := tmp_path / "f.svg"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "menos piezas" in said
    assert out.read_text(encoding="utf-8").startswith("<svg")
    assert "Predictivo (IPP)" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("producto,piezas\na,1\n", (), "le falta «fecha»"),
        ("fecha,piezas\n2024-01-01,1\n", (), "no dice de qué serie"),
        ("producto,fecha,piezas\na,2024-01-01,x\n", (), "fila 2, piezas «x»"),
        ("producto,fecha,piezas\na,2024-01-01,1\na,2024-01-01,2\n", (),
         "dos renglones de a, 2024-01-01"),
        ("producto,fecha,piezas\n", (), "sólo tiene encabezados"),
        ("producto,fecha,piezas\na,2024-01-01,1\na,2024-01-08,1\n", ("--inicio", "2030-01-01"),
         "no está en"),
        ("producto,fecha,piezas\na,2024-01-01,1\na,2024-01-08,1\n", ("--inicio", "2024-01-01"),
         "no hay historia"),
        ("producto,fecha,piezas\na,2024-01-01,1\na,2024-01-08,1\n", ("--plazo", "99"),
         "--plazo 99"),
        ("producto,fecha,piezas\na,2024-01-01,1\na,2024-01-08,1\n", ("--costo-faltante", "0"),
         "--costo-faltante 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_replayed_is_said(
    content: str,
    options: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "demanda.csv"
    file.write_text(content, encoding="utf-8")
    assert said in refused(capsys, "--demanda", file, *options)


def test_stock_of_what_has_no_demand_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weekly(file := tmp_path / "demanda.csv")
    (tmp_path / "i.csv").write_text("tienda,producto,existencia\n009,p1,4\n", encoding="utf-8")
    assert "009, p1" in refused(capsys, "--demanda", file, "--inventario", tmp_path / "i.csv")
