"""Notices about data that contradict each other: each rule from both sides of its threshold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from ipp.core.decision import notice
from ipp.core.decision.notice import NOTICE_RULES, Evidence, find_notices
from ipp.core.parameters import LARGE_DAY_MIN_UNITS
from ipp.core.workbook_columns import PROCESSED_TABLE

CUTOFF = dt.date(2026, 10, 25)
COUNTER = 7_051_602
RULES = {rule.name: rule for rule in NOTICE_RULES}
ORDINARY = {
    "mostrador": COUNTER, "material": 101, "price": 10.0, "sales_365d": 364.0, "sales_90d": 90.0,
    "counter_sales_value": 300.0, "area_forecast_value": 1_000.0,
}  # fmt: skip


def tell(*changes: dict[str, Any], evidence: Evidence | None = None) -> list[str]:
    rows = pl.DataFrame([ORDINARY | {"material": 101 + n} | c for n, c in enumerate(changes)])
    processed = PROCESSED_TABLE.conform_rows(rows.lazy()).collect()
    return find_notices(processed, evidence or Evidence(CUTOFF)).get(COUNTER, [])


def days_ago(days: float) -> dict[int, dt.date]:
    return {COUNTER: CUTOFF - dt.timedelta(days=days)}


def sold_in_a_day(units: float) -> Evidence:
    row = (COUNTER, 101, dt.date(2026, 10, 3), units)
    days = pl.DataFrame([row], schema=["mostrador", "material", "date", "units"], orient="row")
    return Evidence(CUTOFF, days=days)


def test_ordinary_data_are_not_told() -> None:
    assert tell({}) == []


def test_a_counter_that_sells_more_than_its_area_is_told_with_both_values() -> None:
    limit = 1_000.0 * RULES["above_area"].threshold
    assert tell({"counter_sales_value": limit}) == []
    (notice,) = tell({"counter_sales_value": limit + 0.01})
    assert str(COUNTER) in notice
    assert f"${limit + 0.01:,.2f}" in notice
    assert "$1,000.00" in notice
    assert "según su monto_venta_mostrador" in notice
    (own,) = tell({"counter_sales_value": 300.0, "area_forecast_value": 200.0})
    assert "según su sell-out" in own
    assert tell({"counter_sales_value": 5.0, "area_forecast_value": 0.0}) == []


def test_a_counter_without_monthly_sales_is_told() -> None:
    assert tell({"counter_sales_value": 0.01}) == []
    (notice,) = tell({"counter_sales_value": 0.0})
    assert str(COUNTER) in notice
    assert "$1,000.00" in notice
    assert tell({"counter_sales_value": 0.0, "area_forecast_value": 0.0}) == []


@pytest.mark.parametrize(
    ("name", "evidence_of"),
    [
        ("old_sales", lambda last: Evidence(CUTOFF, last_sale=last)),
        ("old_stock", lambda last: Evidence(CUTOFF, last_count=last)),
    ],
    ids=["sales", "stock"],
)
def test_old_data_are_told_with_their_date(
    name: str, evidence_of: Callable[[Mapping[int, dt.date]], Evidence]
) -> None:
    limit = RULES[name].threshold
    assert tell({}, evidence=evidence_of(days_ago(limit))) == []
    last = days_ago(limit + 1)
    (notice,) = tell({}, evidence=evidence_of(last))
    assert str(last[COUNTER]) in notice
    assert f"{limit + 1:.0f} días" in notice


def test_a_day_far_above_a_usual_one_is_told() -> None:
    limit = RULES["large_day"].threshold  # One unit on each other day of the year.
    assert tell({"sales_365d": 364 + limit}, evidence=sold_in_a_day(limit)) == []
    (notice,) = tell({"sales_365d": 365 + limit}, evidence=sold_in_a_day(limit + 1))
    assert f"101 ({limit + 1:.0f} piezas el 2026-10-03)" in notice
    few = LARGE_DAY_MIN_UNITS
    assert tell({"sales_365d": few}, evidence=sold_in_a_day(few - 1)) == []
    assert len(tell({"sales_365d": few + 1}, evidence=sold_in_a_day(few))) == 1
    assert tell({"sales_365d": few}, evidence=sold_in_a_day(few)) == [], "its only day"


@pytest.mark.parametrize("price", [None, 0.0])
def test_what_sold_without_a_price_is_counted_and_the_worst_are_named(price: float | None) -> None:
    assert tell({"price": price, "sales_365d": 0.0}) == []
    (one,) = tell({"price": price, "sales_365d": 50.0}, {})
    assert "1 producto sin precio" in one
    (many,) = tell(*({"price": price, "sales_365d": float(n)} for n in range(1, 8)))
    assert "7 productos" in many
    assert "107 (7 piezas), 106 (6 piezas), 105 (5 piezas) y 4 más" in many
    priced = {"price": 10.0, "sales_365d": 98.0}
    assert tell(priced, {"price": price, "sales_365d": 2.0}) == []
    assert tell(priced, {"price": price, "sales_365d": 2.01}) != []


@pytest.mark.parametrize("count", [1, 2, 40])
def test_what_is_counted_agrees_with_its_number(count: int) -> None:
    unpriced = [{"price": None, "sales_365d": 1.0}] * count
    (notice,) = tell(*unpriced)
    assert notice.count("(1 pieza)") == min(count, 3)
    assert ("1 producto sin" in notice) == (count == 1)
    assert (f" {count} productos sin" in notice) == (count > 1)
    shares = [("1 pieza", 1.0), ("0.5 piezas", 0.5), ("2 piezas", 2.0)]
    for text, units in shares:
        assert f"({text})" in tell({"price": 0.0, "sales_365d": units})[0]


def test_a_sentence_tells_the_threshold_that_it_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = replace(RULES["large_day"], threshold=60.0)
    monkeypatch.setattr(notice, "NOTICE_RULES", (rule,))
    (told,) = tell({"sales_365d": 365.0 + 60}, evidence=sold_in_a_day(61))
    assert "más que en 60 días normales" in told


def test_every_rule_needs_what_there_is() -> None:
    known = {*PROCESSED_TABLE.by_name, *Evidence.__dataclass_fields__}
    for rule in NOTICE_RULES:
        assert set(rule.needs) <= known
