"""Tickets of a day are added up where asked, returns taken off, and no demand is lost unsaid."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipp.core.change_table import CHANGES
from ipp.core.tables import COUNTERS, SELLOUT
from ipp.errors import InvalidInputError, RejectedRowsError
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.unit.formats.intake.conftest import Bring

HEAD = "mostrador,material,fecha,piezas\n"
TICKETS = SELLOUT.adding_rows()

tickets = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.integers(11, 12),
        st.dates(dt.date(2024, 1, 30), dt.date(2024, 1, 31)),
        st.integers(-5_000, 20_000).map(lambda thousandths: thousandths / 1_000),
    ),
    min_size=1,
    max_size=20,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=tickets)
def test_a_day_has_the_total_of_its_tickets(
    rows: list[tuple[int, int, dt.date, float]],
    bring: Bring,
    found: Callable[[], DeltaLakehouse],
) -> None:
    lakehouse = found()
    lines = "".join(f"{m},{p},{day},{units:.4f}\n" for m, p, day, units in rows)
    report = bring(TICKETS, HEAD + lines, into=lakehouse)
    totals: dict[tuple[int, int, dt.date], int] = {}
    for mostrador, material, day, units in rows:
        place = (mostrador, material, day)
        totals[place] = totals.get(place, 0) + round(units * 1_000)
    stored = lakehouse.scan_table(SELLOUT).collect()
    assert {
        (m, p, d): round(u * 1_000)
        for m, p, d, u in stored.select("mostrador", "material", "date", "units").iter_rows()
    } == {key: max(0, total) for key, total in totals.items()}
    assert (report.rows_read, report.rows_accepted) == (len(rows), len(rows))
    assert (report.rows_rejected, report.rows_added) == (0, len(totals))
    below = [total for total in totals.values() if total < 0]
    told = [text for text in report.warnings if "se devolvió más" in text]
    assert len(told) == bool(below)
    if below:
        assert f"({-sum(below) / 1_000:,.15g} piezas en {len(below)} día" in told[0]
    again = bring(TICKETS, HEAD + lines, into=lakehouse)
    assert not again.changed


SOLD_TWICE = HEAD + "1,11,2024-01-31,2\n1,11,2024-01-31,3\n1,12,2024-01-31,-1\n"


def test_without_being_asked_tickets_and_returns_are_refused_with_the_hint(bring: Bring) -> None:
    with pytest.raises(RejectedRowsError) as caught:
        bring(SELLOUT, SOLD_TWICE)
    assert "si es una devolución importe con --sumar" in str(caught.value)
    assert "importe con --sumar si son ventas distintas" in str(caught.value)


def test_a_ticket_that_is_left_out_is_told_with_its_pieces(bring: Bring) -> None:
    report = bring(SELLOUT, SOLD_TWICE, allow=True)
    assert report.rows_rejected == 2
    assert report.warnings == (
        "los renglones que repiten la clave de otro (1) no cuentan, ni sus 3 piezas: si son ventas "
        "distintas, importe con --sumar",
    )


def test_the_same_file_is_read_again_where_it_is_to_be_added_up(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    single = HEAD + "1,11,2024-01-31,2\n"
    bring(SELLOUT, single)
    assert not bring(TICKETS, single).changed
    assert bring(TICKETS, SOLD_TWICE).changed
    assert lakehouse.scan_table(SELLOUT).sort("material").collect()["units"].to_list() == [5.0, 0.0]


def test_a_total_that_no_day_can_have_is_refused_and_nothing_changes(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    lines = HEAD + "1,11,2024-01-31,6000000\n" * 2
    with pytest.raises(InvalidInputError, match=r"suman 12,000,000 piezas, más que el máximo"):
        bring(TICKETS, lines)
    assert not lakehouse.table_exists(SELLOUT)


def test_rows_of_other_tables_are_not_added() -> None:
    with pytest.raises(InvalidInputError, match="no se suman"):
        COUNTERS.adding_rows()


def test_what_is_stored_never_has_a_negative_zero(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    bring(TICKETS, HEAD + "1,11,2024-01-31,-0\n1,11,2024-01-31,-2\n")
    units = lakehouse.scan_table(SELLOUT).select(pl.col("units").cast(pl.String)).collect()
    assert units["units"].to_list() == ["0.0"]


def test_the_record_of_tickets_counts_days_of_products(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    bring(TICKETS, SOLD_TWICE)
    bring(TICKETS, SOLD_TWICE + "1,13,2024-01-31,1\n1,13,2024-01-31,1\n")
    details = lakehouse.scan_table(CHANGES).sort("changed_at").collect()["detail"].to_list()
    counts = [
        {name: json.loads(detail)[name] for name in ("nuevos", "iguales")} for detail in details
    ]
    assert counts == [{"nuevos": 2, "iguales": 0}, {"nuevos": 1, "iguales": 2}]
