"""An import tells where its rows contradict what is stored, or each other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest

from ipp.core.parameters import LARGE_DAY_MIN_UNITS, LARGE_DAY_RECORD_TIMES
from ipp.core.tables import MATERIALS, SELLOUT
from ipp.formats.intake.table_import import ImportReport
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Bring = Callable[..., ImportReport]
LAST = dt.date(2024, 6, 20)
USUAL = LARGE_DAY_MIN_UNITS / LARGE_DAY_RECORD_TIMES
"""Units of which a day of the least that is told is as many times as are told."""


def sellout(*rows: tuple[int, int, int, float]) -> str:
    """A file of (mostrador, material, days before the last one, units)."""
    lines = (f"{m},{p},{LAST - dt.timedelta(days)},{units}" for m, p, days, units in rows)
    return "mostrador,material,fecha,piezas\n" + "\n".join(lines) + "\n"


def test_a_day_far_above_every_other_of_its_year_is_told(bring: Bring) -> None:
    bring(SELLOUT, sellout((1, 11, 5, USUAL), (1, 11, 4, USUAL - 1), (2, 11, 5, 400)))
    at_the_limit = sellout((1, 11, 0, LARGE_DAY_MIN_UNITS))
    assert bring(SELLOUT, at_the_limit).warnings == ()
    (notice,) = bring(SELLOUT, sellout((1, 11, 0, LARGE_DAY_MIN_UNITS + 1))).warnings
    assert notice.startswith("1 producto vendió")
    assert f"más de {LARGE_DAY_RECORD_TIMES:g} veces" in notice
    assert f"11 en el mostrador 1 (51 piezas el {LAST}, contra {USUAL:g})" in notice


def test_the_days_of_the_file_itself_are_compared(bring: Bring) -> None:
    rows = [(1, 10 + n, days, 3.0) for n in range(1, 6) for days in range(1, 9)]
    typed = [(1, 10 + n, 0, 100.0 * n) for n in range(1, 6)]
    (notice,) = bring(SELLOUT, sellout(*rows, *typed)).warnings
    assert notice.startswith("5 productos vendieron")
    assert "15 en el mostrador 1 (500 piezas" in notice
    assert notice.endswith(" y 2 más")


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ([], [(1, 11, 0, 500.0)]),
        ([(1, 11, 0, 3.0)], [(1, 11, 0, 500.0)]),
        ([(1, 11, 400, 3.0)], [(1, 11, 0, 500.0)]),
        ([(2, 11, 3, 3.0), (1, 12, 3, 3.0)], [(1, 11, 0, 500.0)]),
        ([(1, 11, 3, 3.0)], [(1, 11, 0, LARGE_DAY_MIN_UNITS - 1)]),
        ([(1, 11, 3, 60.0), (1, 11, 2, 3.0)], [(1, 11, 0, 599.0)]),
        ([(1, 11, 3, 0.0)], [(1, 11, 0, 500.0)]),
    ],
    ids=["its only day", "it replaces its day", "another year", "another product", "few units",
         "not far above", "no other sale"],
)  # fmt: skip
def test_a_large_day_without_a_smaller_year_is_not_told(
    bring: Bring, stored: list[tuple[int, int, int, float]], new: list[tuple[int, int, int, float]]
) -> None:
    if stored:
        bring(SELLOUT, sellout(*stored))
    assert bring(SELLOUT, sellout(*new)).warnings == ()


def test_a_day_that_is_stored_already_is_told_once(bring: Bring) -> None:
    first = sellout((1, 11, 5, 3), (1, 11, 4, 500))
    assert len(bring(SELLOUT, first).warnings) == 1
    again = sellout((1, 11, 5, 3), (1, 11, 4, 500), (1, 11, 3, 4))
    assert bring(SELLOUT, again).warnings == ()


def test_the_tickets_of_a_day_are_one_day(bring: Bring) -> None:
    table = SELLOUT.adding_rows()
    bring(table, sellout((1, 11, 5, 3)))
    (notice,) = bring(table, sellout((1, 11, 0, 40), (1, 11, 0, 40), (1, 11, 0, -2))).warnings
    assert "(78 piezas el" in notice


@pytest.mark.parametrize("empty", ["", "0"])
def test_a_price_that_goes_missing_is_told(
    bring: Bring, lakehouse: DeltaLakehouse, empty: str
) -> None:
    head = "material,descripcion,precio\n"
    bring(MATERIALS, head + "11,a,5\n12,b,6\n13,c,\n14,d,7\n")
    assert bring(MATERIALS, "material,descripcion\n11,aa\n").warnings == (), "no column of prices"
    (one,) = bring(MATERIALS, head + f"11,a,{empty}\n13,c,\n15,e,\n14,d,8\n").warnings
    assert one == (
        "1 producto que tenía precio se queda sin él, y lo que no tiene precio no se surte: 11"
    )
    (many,) = bring(MATERIALS, head + f"12,b,{empty}\n14,d,{empty}\n").warnings
    assert many.startswith("2 productos que tenían precio se quedan sin él")
    assert many.endswith(": 12, 14")
    assert lakehouse.scan_table(MATERIALS).filter(pl.col("price") > 0).collect().is_empty()
