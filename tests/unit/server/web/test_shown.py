"""Numbers, money and moments as people read them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.server.web import formatting

FORMS: tuple[Callable[[float | None], str], ...] = (
    formatting.whole, formatting.decimal, formatting.exact, formatting.money, formatting.percent,
    formatting.change, formatting.money_change,
)  # fmt: skip
AMOUNTS = st.floats(-1e12, 1e12)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_a_dash_and_not_a_zero(form: Callable[[float | None], str]) -> None:
    assert form(None) == formatting.NO_VALUE != form(0)


@pytest.mark.parametrize("form", FORMS)
@given(value=AMOUNTS | st.floats(-0.01, 0.01))
def test_what_is_shown_as_zero_has_no_sign(
    form: Callable[[float | None], str], value: float
) -> None:
    told = form(value)
    assert re.search("[1-9]", told) or not re.search("[-+]", told)


@given(AMOUNTS)
def test_money_reads_back_to_the_cent(value: float) -> None:
    told = formatting.money(value)
    assert re.fullmatch(r"-?\$\d{1,3}(,\d{3})*\.\d\d", told)
    assert float(told.replace("$", "").replace(",", "")) == round(value, 2)


@given(st.floats(0, 1e9), st.floats(0.01, 1e9))
def test_a_share_is_of_its_whole(part: float, whole: float) -> None:
    assert formatting.share(part, whole) == formatting.percent(part / whole)
    assert (
        formatting.share(part, 0)
        == formatting.share(part, None)
        == formatting.share(None, whole)
        == formatting.NO_VALUE
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3_599.7, "1 h 00 min"),
        (3_720, "1 h 02 min"),
    ],
)
def test_a_time_is_told_in_two_units_at_most(seconds: float, told: str) -> None:
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert formatting.lasted(begin, begin + dt.timedelta(seconds=seconds)) == told
    assert formatting.lasted(begin, None) == formatting.NO_VALUE
