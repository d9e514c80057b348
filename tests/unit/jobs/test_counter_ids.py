"""The ids of mostradores that a request lists, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.errors import InvalidInputError
from ipp.jobs.counter_ids import parse_counter_ids

ids = st.integers(1, 9_999_999_999)


@given(
    st.lists(st.tuples(ids, st.sampled_from(["{}", " {} ", "0{}", "000{}", "{}.0", "{}.000\t"])))
    .filter(bool)
    .map(lambda made: made + made[:2])
)
def test_an_id_counts_once_in_any_spelling_in_the_order_of_first_mention(
    written: list[tuple[int, str]],
) -> None:
    texts = [spelling.format(number) for number, spelling in written]
    assert parse_counter_ids(texts) == tuple(dict.fromkeys(number for number, _ in written))
    assert parse_counter_ids(number for number, _ in written) == parse_counter_ids(texts)


@pytest.mark.parametrize(
    "value",
    [0, "0", "000", -1, "-1", "+1", 10**10, "1" * 11, 1.5, "1.5", "1,0", "1e3", "1 2", "x", "", " ",
     None, True, False, [1], "1_000", "١"],
)  # fmt: skip
def test_what_is_no_id_is_named(value: object) -> None:
    with pytest.raises(InvalidInputError, match="No son números de mostrador") as caught:
        parse_counter_ids([7, value, "8"])
    assert (str(value).strip() or "(vacío)") in caught.value.message


def test_the_first_ten_that_are_no_ids_are_named_and_the_rest_counted() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_counter_ids([*(f"x{number}" for number in range(15)), 7])
    assert "x9" in caught.value.message
    assert "x10" not in caught.value.message
    assert "5 más" in caught.value.message


def test_a_list_holds_one_to_ten_thousand_ids() -> None:
    assert len(parse_counter_ids([*range(1, 10_001), 1])) == 10_000
    with pytest.raises(InvalidInputError, match=r"Son 10,001 mostradores y caben 10,000"):
        parse_counter_ids(range(1, 10_002))
    with pytest.raises(InvalidInputError, match="está vacía"):
        parse_counter_ids([])
