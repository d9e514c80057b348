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
    FAILURES,
    MATERIALS,
    NOTICES,
    PROCESSES,
    RESULTS,
    SELLOUT,
)
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.warehouse import Readiness, RowPage, RowQuery, TableRow, Warehouse
from tests.cloud.workspace import Workspace
from tests.cloud.workspace.tables import lay_out
from tests.contract.warehouses import COUNTERS as MOSTRADORES
from tests.contract.warehouses import (
    JOB,
    OTHER,
    TEXTS,
    Place,
    configuration,
    counters,
    plain,
    results,
    typed,
)
from tests.e2e.server import IPP
from tests.waiting import PATIENCE_SECONDS

pytest_plugins = ("tests.contract.sqlite_places",)

EVERY = RowQuery(JOB, None, "", "mostrador", False, 0, 1_000)

reads_only = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- who is configured ----------------------------------------------------------------------------


def test_configured_are_those_of_the_asked_that_have_a_row_each_once_and_rising(
    place: Place,
) -> None:
    place.put(CONFIGURATIONS, [configuration(n) for n in range(2, 30_000, 2)])
    asked = [*range(1, 10_001), 9_999_999_999] * 2
    Random(1).shuffle(asked)
    assert typed(place.warehouse.configured_counters(asked)) == typed(list(range(2, 10_001, 2)))
    assert place.warehouse.configured_counters([9_999_999_999, 3]) == []
    assert place.warehouse.configured_counters([]) == []


def test_whoever_asks_for_no_one_in_particular_gets_all_that_are_configured(place: Place) -> None:
    assert place.warehouse.configured_counters(None) == []
    assert place.warehouse.configured_counters([1]) == []
    place.put(CONFIGURATIONS, [configuration(n) for n in (9_999_999_999, 12, 3)])
    assert typed(place.warehouse.configured_counters(None)) == typed([3, 12, 9_999_999_999])


def test_unknown_are_those_of_the_asked_without_a_row_of_their_own_as_they_were_asked(
    place: Place,
) -> None:
    assert place.warehouse.unknown_counters([3, 1, 3]) == [3, 1, 3]
    place.put(COUNTERS, counters(*range(1, 10_000)))
    asked = list(range(10_004, 5_000, -1))
    assert typed(place.warehouse.unknown_counters([*asked, 10_001])) == typed(
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
    assert typed(warehouse.job_summary(JOB)) == typed(
        [summed(rows, mostrador) for mostrador in sorted(MOSTRADORES)]
    )
    assert typed(warehouse.job_summary(JOB, MOSTRADORES[0])) == typed(
        [summed(rows, MOSTRADORES[0])]
    )
    assert warehouse.job_summary("ipp-none") == warehouse.job_summary(JOB, 13) == []


@pytest.mark.parametrize(
    ("value", "cents"),
    [(0.00005, 0.0), (0.00015, 0.0), (0.005, 0.0), (0.015, 0.02), (0.025, 0.02), (1.005, 1.0)],
)
def test_half_a_cent_goes_to_the_even_one(place: Place, value: float, cents: float) -> None:
    one = results()[0]
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
    place.put(RESULTS, [{**results()[0], **nothing, **expected}])
    (found,) = place.warehouse.job_summary(JOB)
    assert typed(
        [found[name] for name in ("units", "investment", "target_investment", "expected_fill_rate")]
    ) == typed([0, 0.0, None, None])


# --- the rows, page by page -----------------------------------------------------------------------


def in_order(rows: Sequence[TableRow], sort: str, *, descending: bool) -> list[TableRow]:
    """Return the promised order in plain Python: empty cells last, texts folded, then ties."""
    text = RESULTS.by_name[sort].kind is Kind.TEXT

    def key(row: TableRow) -> Any:
        value = row[sort]
        return plain(value) if text else (isinstance(value, float) and math.isnan(value), value)

    ties = sorted(rows, key=lambda row: (row["mostrador"], row["material"]))
    full = sorted((row for row in ties if row[sort] is not None), key=key, reverse=descending)
    return full + [row for row in ties if row[sort] is None]


def test_rows_are_sorted_by_any_column_either_way_and_the_empty_ones_come_last(
    published: tuple[Warehouse, list[TableRow]],
) -> None:
    warehouse, rows = published
    for sort in RESULTS.by_name:
        for descending in (False, True):
            page = warehouse.query_rows(RowQuery(JOB, None, "", sort, descending, 0, 1_000))
            assert page.total == len(rows)
            assert typed(page.rows) == typed(in_order(rows, sort, descending=descending)), (
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
    assert typed([row for page in pages for row in page.rows]) == typed(
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
        typed(place.warehouse.query_rows(RowQuery(job_id, mostrador, "a", "ean", True, 0, 10)).rows)
        == []
    )
    place.put(RESULTS, results(3))
    page = place.warehouse.query_rows(RowQuery(job_id, mostrador, "", "mostrador", False, 0, 10))
    assert (page.total, page.rows) == (0, [])


def holds(row: TableRow, text: str) -> bool:
    needle = plain(text.strip())
    digits = needle.lstrip("0") or needle if needle.isdecimal() else needle
    numbers = [str(row[name]) for name in ("material", "ean") if row[name] is not None]
    return (
        not needle
        or any(digits in number for number in numbers)
        or needle in plain(row["description"] or "")
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
        place.put(RESULTS, results())
    rows = [row for row in results() if row["job_id"] == JOB and holds(row, text)]
    page = place.warehouse.query_rows(
        RowQuery(JOB, None, f"  {text} ", "mostrador", False, 0, 1_000)
    )
    assert page.total == len(rows)
    assert typed(page.rows) == typed(in_order(rows, "mostrador", descending=False))


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
    assert typed(page.rows) == typed(in_order(mine, "mostrador", descending=False))


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
    assert typed(page.rows) == typed(in_order(mine, "mostrador", descending=False))


@pytest.mark.parametrize("sort", ["material", "mostrador", "description", "optimum"])
def test_a_row_has_the_columns_that_were_asked_for_whatever_it_is_sorted_by(
    published: tuple[Warehouse, list[TableRow]], sort: str
) -> None:
    warehouse, rows = published
    names = ("optimum", "material", "category")
    page = warehouse.query_rows(RowQuery(JOB, None, "", sort, True, 10, 20, columns=names))
    whole = in_order(rows, sort, descending=True)[10:30]
    assert page.total == len(rows)
    assert typed(page.rows) == typed([{name: row[name] for name in names} for row in whole])
    assert warehouse.query_rows(
        RowQuery(JOB, None, "", sort, True, 10**6, 20, columns=names)
    ) == RowPage(len(rows), [])


def test_every_letter_is_sorted_as_the_plain_one(place: Place) -> None:
    """Cover the scripts that have capitals, with their marks, punctuation and superscripts.

    Single signs that expand are left out, except those that are common in a catalogue.
    """
    codes = [*range(0x20, 0x530), *range(0x1D00, 0x2200)]
    signs = [chr(code) for code in codes if chr(code).isprintable()]
    known = [sign for sign in signs if len(plain(sign)) < 2 or sign in "¼½¾…™№℃"]
    one = results(1)[0]
    rows = [{**one, "material": n, "description": f"a{sign}b"} for n, sign in enumerate(known)]
    place.put(RESULTS, rows)
    found = place.warehouse.query_rows(
        RowQuery(JOB, None, "", "description", False, 0, len(rows))
    ).rows
    expected = in_order(rows, "description", descending=False)
    assert [row["description"] for row in found] == [row["description"] for row in expected]


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
    assert typed(place.warehouse.investment_curve(JOB, 12)) == typed(
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
    assert typed(place.warehouse.failed_counters(JOB)) == typed(
        [{"mostrador": n, "stage": "factor", "cause": causes[n]} for n in (12, 13, 9_999_999_999)]
    )
    one = {"mostrador": 13, "stage": "factor", "cause": None}
    assert typed(place.warehouse.failed_counters(JOB, 13)) == typed([one])
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
    assert typed(place.warehouse.notices(JOB)) == typed(rising)
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
        assert typed(question(databricks)) == typed(question(LakehouseWarehouse(chain)))


def shown(page: RowPage) -> list[Any]:
    return [page.total, *page.rows]


def test_an_answer_in_many_chunks_after_several_looks_is_the_same(
    running: Workspace, databricks: Warehouse, tables: Path, tmp_path: Path
) -> None:
    place = Place(databricks, DeltaLakehouse(tmp_path), tables)
    place.put(RESULTS, results())
    at_once = databricks.query_rows(EVERY)
    before = len(running.asked("/statements"))
    running.admin.post(
        f"{running.url}/admin/statements", json={"chunk_rows": 7, "looks": 3}
    ).raise_for_status()
    try:
        later = databricks.query_rows(EVERY)
    finally:
        running.admin.post(
            f"{running.url}/admin/statements", json={"chunk_rows": 1_000, "looks": 0}
        ).raise_for_status()
    assert typed(shown(later)) == typed(shown(at_once))
    asked = running.asked("/statements")[before:]
    assert len([each for each in asked if "/chunks/" in each["path"]]) == len(at_once.rows) // 7
    assert len(asked) > 3 + len(at_once.rows) // 7
