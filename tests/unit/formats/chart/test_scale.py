"""Ticks of every range: round, apart, few enough for their labels, and around all values."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.formats.chart.scale import (
    COUNT_FORMAT,
    HUNDREDTHS_FORMAT,
    MONEY_FORMAT,
    PERCENT_FORMAT,
    NumberFormat,
    Scale,
    fit_number_ticks,
    month_ticks,
    name_ticks,
    number_ticks,
)
from ipp.formats.chart.svg import estimate_width

NUMBERS = st.floats(-1e300, 1e300)
FORMATS = st.sampled_from([COUNT_FORMAT, MONEY_FORMAT, PERCENT_FORMAT, HUNDREDTHS_FORMAT])
FINE = NumberFormat(repr, 1e-250)
DATES = st.dates(dt.date(1990, 1, 1), dt.date(2090, 1, 1))


@given(st.lists(NUMBERS, max_size=20), FORMATS, st.integers(2, 12))
def test_ticks_ascend_evenly_around_all_values(
    values: list[float], form: NumberFormat, count: int
) -> None:
    ticks = number_ticks(values, form, count)
    marks = [mark for mark, _ in ticks.labels]
    assert ticks.low < ticks.high
    assert all(ticks.low <= value <= ticks.high for value in values)
    assert 2 <= len(marks) <= 3 * count + 2
    steps = [after - before for before, after in pairwise(marks)]
    assert min(steps) > 0
    # A mark is rounded to its own last place, so that a step between two may be off by as much.
    slack = 4 * math.ulp(max(map(abs, marks)))
    assert max(steps) - min(steps) <= slack
    assert ticks.low > min(values, default=0.0) - max(steps) * 1.0001 - slack
    covered = max(steps) / 1_000 + slack
    assert marks[0] <= ticks.low + covered
    assert marks[-1] >= ticks.high - covered


@given(st.floats(1e-200, 1e200), st.integers(2, 12))
def test_steps_are_one_two_or_five_times_a_power_of_ten(span: float, count: int) -> None:
    marks = [mark for mark, _ in number_ticks([0.0, span], FINE, count).labels]
    step = marks[1] - marks[0]
    leading = step / 10.0 ** math.floor(math.log10(step * 1.000001))
    assert any(math.isclose(leading, nice, rel_tol=1e-9) for nice in (1, 2, 5, 10))


@given(st.lists(st.floats(-1e9, 1e9), max_size=20), FORMATS, st.integers(2, 12))
def test_no_two_labels_are_the_same(values: list[float], form: NumberFormat, count: int) -> None:
    texts = [text for _, text in number_ticks(values, form, count).labels]
    assert len(set(texts)) == len(texts)


@given(st.lists(st.floats(0, 1e12), max_size=20), FORMATS, st.floats(250, 900))
def test_labels_fit_beside_each_other(values: list[float], form: NumberFormat, room: float) -> None:
    labels = fit_number_ticks(values, form, room).labels
    assert len(labels) <= 4 or sum(estimate_width(text) for _, text in labels) <= room


@given(DATES, st.integers(0, 20_000), st.floats(150, 900))
def test_months_begin_between_both_ends_and_their_labels_fit(
    first: dt.date, days: int, room: float
) -> None:
    last = first + dt.timedelta(days=days)
    ticks = month_ticks(first, last, room)
    marks = [dt.date.fromordinal(int(mark)) for mark, _ in ticks.labels]
    assert ticks.low == first.toordinal()
    assert ticks.high >= last.toordinal()
    assert all(ticks.low <= mark.toordinal() <= ticks.high for mark in marks)
    begun = [first + dt.timedelta(days=n) for n in range(days + 1)]
    if any(day.day == 1 for day in begun[:31]):
        assert {mark.day for mark in marks} == {1}
        assert sum(estimate_width(text) for _, text in ticks.labels) <= max(room, 150)
        months = [mark.year * 12 + mark.month for mark in marks]
        assert len({after - before for before, after in pairwise(months)}) <= 1
    else:
        assert marks[0] == first


@pytest.mark.parametrize(
    ("values", "form", "labels"),
    [
        (
            [0, 3_706_000.0],
            MONEY_FORMAT,
            ["$0", "$1,000,000", "$2,000,000", "$3,000,000", "$4,000,000"],
        ),
        ([0, 3], COUNT_FORMAT, ["0", "1", "2", "3"]),
        ([0.0, 0.0], COUNT_FORMAT, ["0", "1"]),
        ([0, 1.0], PERCENT_FORMAT, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        ([-5, 5], COUNT_FORMAT, ["-6", "-4", "-2", "0", "2", "4", "6"]),
        ([], MONEY_FORMAT, ["$0", "$1"]),
    ],
)
def test_people_read_round_numbers(
    values: list[float], form: NumberFormat, labels: list[str]
) -> None:
    assert [text for _, text in number_ticks(values, form, 6).labels] == labels


def test_names_stand_from_the_top_down_and_long_ones_are_cut() -> None:
    ticks = name_ticks(["Analgésicos", "Otra cosa larga"], 11)
    assert ticks.labels == [(0.0, "Analgésicos"), (1.0, "Otra cosa…")]
    scale = Scale(ticks.low, ticks.high, start=100, end=0)
    assert scale.position(0) < scale.position(1)


@given(NUMBERS, NUMBERS, st.lists(NUMBERS, min_size=2, max_size=9))
def test_a_scale_keeps_order_and_never_leaves_its_pixels(
    one: float, other: float, values: list[float]
) -> None:
    low, high = sorted((one, other))
    if low == high:
        high = math.nextafter(low, math.inf) if low < 1e300 else low + 1e290
    scale = Scale(low, high, 40.0, 500.0)
    places = [scale.position(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 40.0 <= min(places) <= max(places) <= 500.0
    assert (scale.position(low), scale.position(high)) == (40.0, 500.0)
