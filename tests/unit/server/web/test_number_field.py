"""Numbers in fields: what is formatted is parsed back, and nothing is guessed at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.formats.written_number import WrittenNumberError
from ipp.server.web.number_field import format_number_field, parse_number_field, refusal_reason


@given(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)))
def test_what_is_formatted_is_parsed_back(value: float | None) -> None:
    assert parse_number_field(format_number_field(value)) == value


def test_an_empty_field_is_no_number_and_no_mistake() -> None:
    assert (parse_number_field("  "), refusal_reason("  ")) == (None, "")


@pytest.mark.parametrize("text", ["1,234", "mil"])
def test_a_refused_text_stays_as_typed(text: str) -> None:
    with pytest.raises(WrittenNumberError) as refusal:
        parse_number_field(text)
    assert refusal_reason(text) == str(refusal.value)
    assert format_number_field(text) == text
