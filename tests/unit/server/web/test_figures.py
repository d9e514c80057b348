"""Numbers in fields: what is written is read back, and nothing is guessed at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.server.web.number_field import format_number_field, parse_number_field


@given(st.floats(min_value=0.01, max_value=1e12))
def test_what_is_written_is_read_back_the_same(value: float) -> None:
    assert parse_number_field(format_number_field(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("  ", None), ("950000", 950_000.0), ("950,000.50", 950_000.5),
        (" $1,234 ", 1_234.0), ("-3", -3.0), (".5", 0.5), ("1,5", "1,5"), ("1.234,50", "1.234,50"),
        ("12,34,567", "12,34,567"), ("1e6", "1e6"), ("nan", "nan"), ("mil", "mil"), ("$", "$"),
        (".", "."), ("1_000", "1_000"), ("9" * 400, "9" * 400),
    ],
)  # fmt: skip
def test_a_number_is_read_as_it_is_written_in_mexico_or_not_at_all(
    text: str, value: float | str | None
) -> None:
    assert parse_number_field(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(950_000.0, "950,000.00"), (0.01, "0.01"), (1.005, "1.005"), (None, ""), ("mil", "mil")],
)
def test_money_has_its_cents_unless_they_would_hide_something(
    value: float | str | None, text: str
) -> None:
    assert format_number_field(value) == text
