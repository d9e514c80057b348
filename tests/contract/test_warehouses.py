"""What every `Warehouse` answers, whatever it is made of: the same rows, of the same types."""

from __future__ import annotations

import datetime as dt
import math
import os
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipp.core.contract import Kind
from ipp.core.tables import (
    CONFIGURATIONS,
    COUNTERS,
    CURVES,
    DECISION_COLUMNS,
    FAILURES,
    MATERIALS,
    NOTICES,
    PROCESSES,
    RESULTS,
    SELLOUT,
)
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse import databricks_warehouse, row_batch
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.warehouse import (
    JobComparison,
    Readiness,
    RowPage,
    RowQuery,
    TableRow,
    Warehouse,
)
from tests.cloud.workspace.tables import lay_out
from tests.contract.warehouses import COUNTERS as MOSTRADORES
from tests.contract.warehouses import (
    JOB,
    OTHER,
    TEXTS,
    Place,
    build_configuration,
    build_counters,
    build_results,
    fold_text,
    tag_types,
)
from tests.e2e.command import IPP
from tests.waiting import PATIENCE_SECONDS

pytest_plugins = ("tests.contract.sqlite_places",)

reads_only = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- who is configured ----------------------------------------------------------------------------


def test_configured_are_those_of_the_asked_that_have_a_row_each_once_and_rising(
    place: Place,
) -> None:
    place.put(CONFIGURATIONS, [build_configuration(n) for n in range(2, 30_000, 2)])
    asked = [*range(1, 10_001), 9_999_999_999] * 2
    Random(1).shuffle(asked)
    assert tag_types(place.warehouse.configured_counters(asked)) == tag_types(
        list(range(2, 10_001, 2))
    )
    assert place.warehouse.configured_counters([9_999_999_999, 3]) == []
    assert place.warehouse.configured_counters([]) == []


def test_whoever_asks_for_no_one_in_particular_gets_all_that_are_configured(place: Place) -> None:
    assert place.warehouse.configured_counters(None) == []
    assert place.warehouse.configured_counters([1]) == []
    place.put(CONFIGURATIONS, [build_configuration(n) for n in (9_999_999_999, 12, 3)])
    assert tag_types(place.warehouse.configured_counters(None)) == tag_types([3, 12, 9_999_999_999])


def test_unknown_are_those_of_the_asked_without_a_row_of_their_own_as_they_were_asked(
    place: Place,
) -> None:
    assert place.warehouse.unknown_counters([3, 1, 3]) == [3, 1, 3]
    place.put(COUNTERS, build_counters(*range(1, 10_000)))
    asked = list(range(10_004, 5_000, -1))
    assert tag_types(place.warehouse.unknown_counters([*asked, 10_001])) == tag_types(
        [*range(10_004, 9_999, -1), 10_001]
    )
    assert place.warehouse.unknown_counters([]) == []


# --- what a job would find ------------------------------------------------------------------------


def test_there_is_nothing_for_a_job_in_tables_never_written_or_empty(place: Place) -> None:
    nothing = Readiness(has_materials=False, first=None, last=None)
    assert place.warehouse.readiness() == nothing
    place.put(MATERIALS, [])
    place.put(SELLOUT, [])
    assert place.warehouse.readiness() == nothing


def test_there_is_a_catalogue_and_a_sellout_from_its_first_day_to_its_last(place: Place) -> None:
    place.put(
        MATERIALS,
        [
            {name: None for name in MATERIALS.by_name} | {"material": n, "vital": True}
            for n in (1, 2)
        ],
    )
    days = [dt.date(2026, 2, 28), dt.date(1999, 12, 31), dt.date(2026, 7, 1)]
    place.put(SELLOUT, [{"mostrador": 1, "material": 1, "date": day, "units": 1.0} for day in days])
    assert place.warehouse.readiness() == Readiness(has_materials=True, first=days[1], last=days[2])


def test_the_sales_of_a_product_are_of_its_mostrador_and_days_by_date(place: Place) -> None:
    first, last = dt.date(2024, 2, 28), dt.date(2024, 3, 2)
    assert place.warehouse.daily_sales(12, 7, first, last) == []
    days = [first + dt.timedelta(days=n) for n in (5, 3, 2, 0, -1)]
    keys = [(12, 7), (13, 7), (12, 8)]
    place.put(
        SELLOUT,
        [
            {"mostrador": mostrador, "material": material, "date": day, "units": day.day + 0.125}
            for mostrador, material in keys
            for day in days
        ],
    )
    expected = [{"date": day, "units": day.day + 0.125} for day in reversed(days[1:4])]
    assert tag_types(place.warehouse.daily_sales(12, 7, first, last)) == tag_types(expected)


def test_the_names_are_of_the_mostradores_that_have_one(place: Place) -> None:
    assert place.warehouse.counter_names([12]) == {}
    place.put(COUNTERS, [*build_counters(12, 13, name="O'Brien, «Ñ»"), *build_counters(14)])
    assert place.warehouse.counter_names([9_999_999_999, 14, 12]) == {12: "O'Brien, «Ñ»"}
    assert place.warehouse.counter_names([]) == {}


# --- what a job decided ---------------------------------------------------------------------------


def summed(rows: Sequence[TableRow], mostrador: int) -> TableRow:
    """The summary of a mostrador by the rule, in exact numbers."""
    mine = [row for row in rows if row["mostrador"] == mostrador]
    unknown = [row for row in mine if has_unknown_stock(row)]
    allowed = [row for row in mine if row["exclusion"] is None]
    demand = sum(Fraction(str(row["expected_demand"] or 0)) for row in allowed)
    sales = sum(Fraction(str(row["expected_sales"] or 0)) for row in allowed)
    return {
        "mostrador": mostrador,
        "products": len(mine),
        "products_with_stock": sum((row["optimum"] or 0) > 0 for row in mine),
        "units": sum(row["optimum"] or 0 for row in mine),
        "investment": pesos(mine),
        "target_investment": 1_000.0,
        "rounding_factor": 0.47,
        "expected_fill_rate": float(round(sales / demand, 4)) if demand else None,
        "products_with_unknown_stock": len(unknown),
        "value_with_unknown_stock": pesos(unknown),
    }


def has_unknown_stock(row: TableRow) -> bool:
    return (row["optimum"] or 0) > 0 and row["on_hand"] is None


def pesos(rows: Sequence[TableRow]) -> float:
    """Optimum values round half to even: each row to four decimals, the sum to the cent."""
    value = sum(round((row["optimum_value"] or 0.0) * 10_000) for row in rows)
    return float(round(Fraction(value, 10_000), 2))


def test_a_summary_is_of_each_mostrador_to_the_cent(
    published: tuple[Warehouse, list[TableRow]],
) -> None:
    warehouse, rows = published
    assert tag_types(warehouse.job_summary(JOB)) == tag_types(
        [summed(rows, mostrador) for mostrador in sorted(MOSTRADORES)]
    )
    assert tag_types(warehouse.job_summary(JOB, MOSTRADORES[0])) == tag_types(
        [summed(rows, MOSTRADORES[0])]
    )
    assert warehouse.job_summary("ipp-none") == warehouse.job_summary(JOB, 13) == []


@pytest.mark.parametrize(
    ("value", "cents"),
    [(0.00005, 0.0), (0.00015, 0.0), (0.005, 0.0), (0.015, 0.02), (0.025, 0.02), (1.005, 1.0)],
)
def test_half_a_cent_goes_to_the_even_one(place: Place, value: float, cents: float) -> None:
    one = build_results()[0]
    place.put(RESULTS, [{**one, "optimum_value": value}])
    assert place.warehouse.job_summary(JOB)[0]["investment"] == cents


@pytest.mark.parametrize("exclusion", [None, "No se surte."])
def test_nothing_expected_is_no_fill_rate_and_nothing_decided_no_units(
    place: Place, exclusion: str | None
) -> None:
    demand = {None: 0.0, "No se surte.": 5.0}[exclusion]
    nothing = {
        "optimum": None,
        "optimum_value": None,
        "target_investment": None,
        "rounding_factor": None,
    }
    expected = {"exclusion": exclusion, "expected_demand": demand, "expected_sales": None}
    place.put(RESULTS, [{**build_results()[0], **nothing, **expected}])
    (found,) = place.warehouse.job_summary(JOB)
    assert tag_types(
        [found[name] for name in ("units", "investment", "target_investment", "expected_fill_rate")]
    ) == tag_types([0, 0.0, None, None])


# --- the rows, page by page -----------------------------------------------------------------------


def in_order(rows: Sequence[TableRow], sort: str, *, descending: bool) -> list[TableRow]:
    """Return the promised order in plain Python: empty cells last, texts folded, then ties."""
    text = RESULTS.by_name[sort].kind is Kind.TEXT

    def key(row: TableRow) -> Any:
        value = row[sort]
        return fold_text(value) if text else (isinstance(value, float) and math.isnan(value), value)

    ties = sorted(rows, key=lambda row: (row["mostrador"], row["material"]))
    full = sorted((row for row in ties if row[sort] is not None), key=key, reverse=descending)
    return full + [row for row in ties if row[sort] is None]


def test_rows_are_sorted_by_any_column_either_way_and_the_empty_ones_come_last(
    published: tuple[Warehouse, list[TableRow]],
) -> None:
    warehouse, rows = published
    by_kind = {column.kind: column.name for column in RESULTS.columns}
    # A statement takes a second there, and its order follows from the kind of the column.
    sorts = RESULTS.by_name if isinstance(warehouse, LakehouseWarehouse) else by_kind.values()
    for sort in sorts:
        for descending in (False, True):
            page = warehouse.query_rows(RowQuery(JOB, None, "", sort, descending, 0, 1_000))
            assert page.total == len(rows)
            assert tag_types(page.rows) == tag_types(in_order(rows, sort, descending=descending)), (
                sort,
                descending,
            )


@pytest.mark.parametrize(
    ("sort", "mostrador"), [("description", None), ("on_hand", MOSTRADORES[0])]
)
def test_walking_the_pages_gives_every_row_once(
    published: tuple[Warehouse, list[TableRow]], sort: str, mostrador: int | None
) -> None:
    warehouse, rows = published
    mine = [row for row in rows if mostrador in {None, row["mostrador"]}]
    pages = [
        warehouse.query_rows(RowQuery(JOB, mostrador, "", sort, True, start, 17))
        for start in range(0, len(mine), 17)
    ]
    assert {page.total for page in pages} == {len(mine)}
    assert tag_types([row for page in pages for row in page.rows]) == tag_types(
        in_order(mine, sort, descending=True)
    )


@pytest.mark.parametrize("start", [119, 120, 121, 10**15])
def test_past_the_end_there_is_no_row_and_the_total_is_the_same(
    published: tuple[Warehouse, list[TableRow]], start: int
) -> None:
    warehouse, rows = published
    page = warehouse.query_rows(RowQuery(JOB, None, "", "mostrador", False, start, 10))
    assert (page.total, len(page.rows)) == (len(rows), max(0, len(rows) - start))


@pytest.mark.parametrize(
    ("job_id", "mostrador"), [("ipp-none", None), (JOB, 5), ("' OR '1' = '1", None)]
)
def test_what_nobody_published_is_an_empty_page(
    place: Place, job_id: str, mostrador: int | None
) -> None:
    assert (
        tag_types(
            place.warehouse.query_rows(RowQuery(job_id, mostrador, "a", "ean", True, 0, 10)).rows
        )
        == []
    )
    place.put(RESULTS, build_results(3))
    page = place.warehouse.query_rows(RowQuery(job_id, mostrador, "", "mostrador", False, 0, 10))
    assert (page.total, page.rows) == (0, [])


def holds(row: TableRow, text: str) -> bool:
    needle = fold_text(text.strip())
    digits = needle.lstrip("0") or needle if needle.isdecimal() else needle
    numbers = [str(row[name]) for name in ("material", "ean") if row[name] is not None]
    return (
        not needle
        or any(digits in number for number in numbers)
        or needle in fold_text(row["description"] or "")
    )


@given(
    st.one_of(
        st.sampled_from([text for text in TEXTS if text]),
        st.text("aÁÑé½ºc²0 1%_':-\\\u0301", max_size=4),
    )
)
@reads_only
def test_a_text_is_found_without_case_accents_zeros_before_or_spaces_around(
    place: Place, text: str
) -> None:
    if not place.lakehouse.table_exists(RESULTS):
        place.put(RESULTS, build_results())
    rows = [row for row in build_results() if row["job_id"] == JOB and holds(row, text)]
    page = place.warehouse.query_rows(
        RowQuery(JOB, None, f"  {text} ", "mostrador", False, 0, 1_000)
    )
    assert page.total == len(rows)
    assert tag_types(page.rows) == tag_types(in_order(rows, "mostrador", descending=False))


@pytest.mark.parametrize(
    "category", [None, "éxito", "ÉXITO 2", "O'Brien", " espacio", "a.*b", "", "no hay"]
)
def test_a_category_is_one_to_the_letter_or_none_at_all_or_any(
    published: tuple[Warehouse, list[TableRow]], category: str | None
) -> None:
    warehouse, rows = published
    mine = [row for row in rows if category in {None, row["category"] or ""}]
    page = warehouse.query_rows(RowQuery(JOB, None, "", "mostrador", False, 0, 1_000, category))
    assert page.total == len(mine)
    assert tag_types(page.rows) == tag_types(in_order(mine, "mostrador", descending=False))


@pytest.mark.parametrize(("mostrador", "text"), [(None, ""), (MOSTRADORES[0], ""), (None, "a")])
def test_rows_with_an_optimum_and_no_known_stock_are_asked_for_alone(
    published: tuple[Warehouse, list[TableRow]], mostrador: int | None, text: str
) -> None:
    warehouse, rows = published
    mine = [row for row in rows if mostrador in {None, row["mostrador"]} and has_unknown_stock(row)]
    mine = [row for row in mine if holds(row, text)]
    page = warehouse.query_rows(
        RowQuery(JOB, mostrador, text, "mostrador", False, 0, 1_000, unknown_stock=True)
    )
    assert 0 < page.total == len(mine)
    assert tag_types(page.rows) == tag_types(in_order(mine, "mostrador", descending=False))


@pytest.mark.parametrize("sort", ["material", "mostrador", "description", "optimum"])
def test_a_row_has_the_columns_that_were_asked_for_whatever_it_is_sorted_by(
    published: tuple[Warehouse, list[TableRow]], sort: str
) -> None:
    warehouse, rows = published
    names = ("optimum", "material", "category")
    page = warehouse.query_rows(RowQuery(JOB, None, "", sort, True, 10, 20, columns=names))
    whole = in_order(rows, sort, descending=True)[10:30]
    assert page.total == len(rows)
    assert tag_types(page.rows) == tag_types([{name: row[name] for name in names} for row in whole])
    assert warehouse.query_rows(
        RowQuery(JOB, None, "", sort, True, 10**6, 20, columns=names)
    ) == RowPage(len(rows), [])


def test_every_letter_is_sorted_as_the_plain_one(place: Place) -> None:
    """Cover the scripts that have capitals, with their marks, punctuation and superscripts.

    Single signs that expand are left out, except those that are common in a catalogue.
    """
    codes = [*range(0x20, 0x530), *range(0x1D00, 0x2200)]
    signs = [chr(code) for code in codes if chr(code).isprintable()]
    known = [sign for sign in signs if len(fold_text(sign)) < 2 or sign in "¼½¾…™№℃"]
    one = build_results(1)[0]
    rows = [{**one, "material": n, "description": f"a{sign}b"} for n, sign in enumerate(known)]
    place.put(RESULTS, rows)
    found = place.warehouse.query_rows(
        RowQuery(JOB, None, "", "description", False, 0, len(rows))
    ).rows
    expected = in_order(rows, "description", descending=False)
    assert [row["description"] for row in found] == [row["description"] for row in expected]


# --- all rows, batch by batch ---------------------------------------------------------------------


@pytest.mark.parametrize("most", [17, 39, 40, 41, 79, 80, 119, 120, 10_000])
@pytest.mark.parametrize("mostrador", [None, MOSTRADORES[0]])
def test_batches_are_every_row_in_order_and_split_no_mostrador(
    published: tuple[Warehouse, list[TableRow]],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    mostrador: int | None,
) -> None:
    monkeypatch.setattr(row_batch, "MAX_BATCH_ROWS", most)
    monkeypatch.setattr(databricks_warehouse, "MAX_STATEMENT_ROWS", most)
    warehouse, rows = published
    mine = [row for row in rows if mostrador in {None, row["mostrador"]}]
    batches = list(warehouse.iterate_rows(JOB, mostrador))
    assert all(batch.schema == RESULTS.schema for batch in batches)
    assert tag_types([row for batch in batches for row in batch.to_dicts()]) == tag_types(
        in_order(mine, "mostrador", descending=False)
    )
    own = len(mine) // len({row["mostrador"] for row in mine})
    assert {batch.height % own for batch in batches} == {0}
    assert max(batch.height for batch in batches) <= max(most, own)


@pytest.mark.parametrize(("job_id", "mostrador"), [("ipp-none", None), (JOB, 5)])
def test_there_is_no_batch_of_what_nobody_published(
    place: Place, job_id: str, mostrador: int | None
) -> None:
    assert list(place.warehouse.iterate_rows(job_id, mostrador)) == []
    place.put(RESULTS, build_results(3))
    assert list(place.warehouse.iterate_rows(job_id, mostrador)) == []


def test_the_jobs_with_rows_are_listed_rising(place: Place) -> None:
    assert place.warehouse.published_jobs() == []
    place.put(RESULTS, build_results(3))
    assert place.warehouse.published_jobs() == [OTHER, JOB]


# --- one row --------------------------------------------------------------------------------------


def test_a_product_has_its_row_or_none(published: tuple[Warehouse, list[TableRow]]) -> None:
    warehouse, rows = published
    limits = [column.name for column in DECISION_COLUMNS]
    for row in rows[::17]:
        found = warehouse.get_row(JOB, row["mostrador"], row["material"])
        # A table of an earlier release has no limits.
        assert tag_types(found) == tag_types({**row, **dict.fromkeys(limits)})
        assert warehouse.get_row(JOB, row["mostrador"], 10_000) is None
        assert warehouse.get_row("ipp-none", row["mostrador"], row["material"]) is None
    assert warehouse.get_row(JOB, 13, rows[0]["material"]) is None


# --- where the money is ---------------------------------------------------------------------------


def test_the_categories_of_a_mostrador_hold_its_investment_largest_first(
    published: tuple[Warehouse, list[TableRow]],
) -> None:
    warehouse, rows = published
    mine = [row for row in rows if row["mostrador"] == MOSTRADORES[0]]
    parts = {
        name: [row for row in mine if (row["category"] or "") == name]
        for name in {row["category"] or "" for row in mine}
    }
    expected = [
        {"category": name, "products": len(part), "investment": pesos(part)}
        for name, part in parts.items()
    ]
    units = {name: sum(round((row["optimum_value"] or 0) * 10_000) for row in part)
             for name, part in parts.items()}  # fmt: skip
    expected.sort(key=lambda row: (-units[row["category"]], row["category"]))
    found = warehouse.investment_by_category(JOB, MOSTRADORES[0])
    assert tag_types(found) == tag_types(expected)
    assert warehouse.investment_by_category("ipp-none", MOSTRADORES[0]) == []


def test_the_products_that_hold_any_investment_come_largest_first(
    published: tuple[Warehouse, list[TableRow]],
) -> None:
    warehouse, rows = published
    values = [row["optimum_value"] or 0.0 for row in rows if row["mostrador"] == MOSTRADORES[0]]
    assert tag_types(warehouse.investment_by_product(JOB, MOSTRADORES[0])) == tag_types(
        sorted((value for value in values if value > 0), reverse=True)
    )
    assert warehouse.investment_by_product(JOB, 13) == []


# --- what changed between two jobs ----------------------------------------------------------------

_CENT_UNITS = 100
"""Ten-thousandths of a peso, in which changes are exact, in a cent."""


def compared(rows: Sequence[TableRow], mostrador: int | None, limit: int) -> JobComparison:
    """The comparison of `OTHER` with `JOB` by the rule, product by product."""
    before, after = (
        {key_of(row): row for row in rows if row["job_id"] == job_id} for job_id in (OTHER, JOB)
    )
    changes = {key: change_of(before.get(key), after.get(key)) for key in {**before, **after}}
    counters = []
    for one in {key[0] for key in changes}:
        mine = [change for key, change in changes.items() if key[0] == one]
        sums = {name: sum(change[name] for change in mine) for name in NUMBERS}
        rose, fell = (sum(sign * change["change"] > 0 for change in mine) for sign in (1, -1))
        counters.append({"mostrador": one, **sums, "rose": rose, "fell": fell})
    counters.sort(key=lambda row: (-abs(row["change"]), row["mostrador"]))
    products = [
        {"mostrador": key[0], "material": key[1], **change}
        for key, change in sorted(changes.items())
        if mostrador in {None, key[0]}
    ]
    products.sort(key=lambda row: -abs(row["change"]))
    rose_rows, fell_rows = (
        [in_pesos(row) for row in products if sign * row["change"] > 0][:limit] for sign in (1, -1)
    )
    return JobComparison([in_pesos(row) for row in counters], rose_rows, fell_rows)


NUMBERS = ("value_before", "value", "change", "optimum_before", "optimum")


def change_of(before: TableRow | None, after: TableRow | None) -> dict[str, Any]:
    """A product's cells of a comparison, its money in ten-thousandths of a peso."""
    cells: dict[str, Any] = {}
    for row, ending in ((before, "_before"), (after, "")):
        cells[f"value{ending}"] = round(((row or {}).get("optimum_value") or 0) * 10_000)
        cells[f"optimum{ending}"] = (row or {}).get("optimum") or 0
        cells[f"reason{ending}"] = (row or {}).get("reason")
    descriptions = [row["description"] for row in (after, before) if row is not None]
    named = [text for text in descriptions if text is not None]
    change = cells["value"] - cells["value_before"]
    return {**cells, "change": change, "description": named[0] if named else None}


def in_pesos(row: dict[str, Any]) -> dict[str, Any]:
    money = {name: round(row[name] / _CENT_UNITS) / 100 for name in NUMBERS[:3]}
    return {**row, **money}


@pytest.mark.parametrize("limit", [1, 7, 1_000])
@pytest.mark.parametrize("mostrador", [None, MOSTRADORES[1], 13])
def test_two_jobs_are_compared_by_product_and_by_mostrador(
    place: Place, mostrador: int | None, limit: int
) -> None:
    rows, drawn = build_results(), Random(2)
    kept = [row for row in rows if row["job_id"] == JOB][::2]
    again: list[TableRow] = [
        {**row, "job_id": OTHER, "reason": "Por costumbre.", "optimum": drawn.choice((None, 3)),
         "optimum_value": drawn.choice((None, row["optimum_value"], 1.005, 2.00005, 250.0))}
        for row in kept
    ]  # fmt: skip
    keys = {key_of(row) for row in again}
    rows = [row for row in rows if row["job_id"] == JOB or key_of(row) not in keys] + again
    place.put(RESULTS, rows)
    found = place.warehouse.compare_jobs(OTHER, JOB, mostrador, limit)
    expected = compared(rows, mostrador, limit)
    assert by_name(found.counters) == by_name(expected.counters)
    assert by_name(found.rose) == by_name(expected.rose)
    assert by_name(found.fell) == by_name(expected.fell)


def key_of(row: TableRow) -> tuple[int, int]:
    return row["mostrador"], row["material"]


def by_name(rows: Sequence[TableRow]) -> Any:
    return tag_types([dict(sorted(row.items())) for row in rows])


def test_a_change_of_less_than_a_cent_has_a_side(place: Place) -> None:
    one = {**build_results(1)[0], "material": 1, "optimum_value": 1.0}
    place.put(RESULTS, [{**one, "job_id": OTHER}, {**one, "job_id": JOB, "optimum_value": 1.0004}])
    rises = place.warehouse.compare_jobs(OTHER, JOB, None, 5)
    falls = place.warehouse.compare_jobs(JOB, OTHER, None, 5)
    assert [len(rises.rose), len(rises.fell), len(falls.rose), len(falls.fell)] == [1, 0, 0, 1]
    assert place.warehouse.compare_jobs("ipp-none", "ipp-no", None, 5) == JobComparison([], [], [])


# --- curves ---------------------------------------------------------------------------------------


def test_a_curve_is_of_one_job_and_mostrador_by_investment_rising(place: Place) -> None:
    assert place.warehouse.investment_curve(JOB, 12) == []
    cells = [(5.5, None, False, None), (0.0, 0.0, True, 0.25), (1e6, 0.987654, None, 0.0)]
    points = [
        dict(zip(("investment", "fill_rate", "chosen", "gap"), each, strict=True)) for each in cells
    ]
    places = [(JOB, 12), (JOB, 13), (OTHER, 12)]
    place.put(
        CURVES,
        [{"job_id": job_id, "mostrador": n, **point} for job_id, n in places for point in points],
    )
    assert tag_types(place.warehouse.investment_curve(JOB, 12)) == tag_types(
        [points[1], points[0], points[2]]
    )
    assert place.warehouse.investment_curve(JOB, 14) == []


# --- failures -------------------------------------------------------------------------------------


def test_the_failures_are_of_one_job_by_mostrador_rising(place: Place) -> None:
    assert place.warehouse.failed_counters(JOB) == []
    causes = {9_999_999_999: "ValueError: «uno», con ñ", 12: "", 13: None}
    place.put(
        FAILURES,
        [
            {"job_id": job_id, "mostrador": n, "stage": "factor", "cause": cause}
            for job_id in (JOB, OTHER)
            for n, cause in causes.items()
        ],
    )
    assert tag_types(place.warehouse.failed_counters(JOB)) == tag_types(
        [{"mostrador": n, "stage": "factor", "cause": causes[n]} for n in (12, 13, 9_999_999_999)]
    )
    one = {"mostrador": 13, "stage": "factor", "cause": None}
    assert tag_types(place.warehouse.failed_counters(JOB, 13)) == tag_types([one])
    assert (
        place.warehouse.failed_counters("ipp-none")
        == place.warehouse.failed_counters(JOB, 14)
        == []
    )


# --- jobs that have published ---------------------------------------------------------------------


def test_what_is_told_of_a_job_that_has_published_is_its_row_alone(place: Place) -> None:
    assert place.warehouse.publication(JOB) is None
    texts = [
        column.name
        for column in PROCESSES.columns
        if column.kind is Kind.TEXT and not column.required
    ]
    rows = [
        {"job_id": JOB, **dict.fromkeys(texts, "«Ñandú», O'Brien"), "cutoff": dt.date(2024, 2, 29)},
        {"job_id": OTHER, **dict.fromkeys(texts), "cutoff": None},
    ]
    place.put(PROCESSES, rows)
    for row in rows:
        assert place.warehouse.publication(str(row["job_id"])) == row
    for unknown in ("ipp-none", "ipp-uno' OR '1'='1", ""):
        assert place.warehouse.publication(unknown) is None


# --- notices --------------------------------------------------------------------------------------


def test_the_notices_are_of_one_job_by_mostrador_rising(place: Place) -> None:
    assert place.warehouse.notices(JOB) == []
    told = [(9_999_999_999, "otro, con ñ"), (12, "«uno»"), (12, "dos")]
    place.put(
        NOTICES,
        [
            {"job_id": job_id, "mostrador": n, "notice": notice}
            for job_id in (JOB, OTHER)
            for n, notice in told
        ],
    )
    rising = [
        {"mostrador": n, "notice": notice} for n, notice in ((12, "dos"), (12, "«uno»"), told[0])
    ]
    assert tag_types(place.warehouse.notices(JOB)) == tag_types(rising)
    assert place.warehouse.notices("ipp-none") == []


# --- both, on what a chain really has -------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> DeltaLakehouse:
    """The tables of a small chain, with two jobs' results."""
    home = tmp_path_factory.mktemp("chain") / "home"
    sample = ["sample", "--mostradores", "4", "--materiales", "150", "--dias", "120"]
    for command in (sample, ["run", "--todos"], ["run", "--todos", "--joroba", "0.1"]):
        environ = os.environ | {"IPP_HOME": str(home)}
        subprocess.run(
            [*IPP, *command], env=environ, check=True, capture_output=True, timeout=PATIENCE_SECONDS
        )
    return DeltaLakehouse(home / "lakehouse")


def test_both_answer_alike_about_what_a_chain_has_and_published(
    chain: DeltaLakehouse, databricks: Warehouse, tables: Path
) -> None:
    lay_out(chain, tables)
    jobs = chain.scan_table(RESULTS).select("job_id").unique().collect()["job_id"].to_list()
    mostradores = chain.scan_table(COUNTERS).collect()["mostrador"].to_list()
    questions: list[Callable[[Warehouse], Any]] = [
        lambda asked: asked.configured_counters(None),
        lambda asked: asked.unknown_counters([1, *mostradores]),
        lambda asked: asked.readiness(),
        lambda asked: shown(asked.list_configurations("", 0, 3)),
        *(lambda asked, job=job: asked.job_summary(job) for job in jobs),
        *(
            lambda asked, job=job, one=one: asked.investment_curve(job, one)
            for job in jobs
            for one in mostradores
        ),
        *(
            lambda asked, job=job, sort=sort: shown(
                asked.query_rows(RowQuery(job, None, "5 mg", sort, True, 3, 200))
            )
            for job in jobs
            for sort in ("description", "optimum_value", "exclusion")
        ),
    ]
    assert len(jobs) == 2
    assert any(LakehouseWarehouse(chain).investment_curve(jobs[0], one) for one in mostradores)
    for question in questions:
        assert tag_types(question(databricks)) == tag_types(question(LakehouseWarehouse(chain)))


def shown(page: RowPage) -> list[Any]:
    return [page.total, *page.rows]
