"""How unconfirmed changes ended is found from what came after them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ipp.core.tables import CONFIGURATIONS
from ipp.storage.change_record import ChangeState, record_row_change, row_json
from ipp.storage.change_settlement import settle_changes
from tests.contract.warehouses import AUTHOR, build_configuration

UNCONFIRMED = ChangeState.UNCONFIRMED

ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2"]),
        st.sampled_from([None, 5.0, 6.0]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)
"""The key of each change, the new amount (None: no row), and whether it was made and told."""


def build_row(key: str, amount: float | None) -> dict[str, Any] | None:
    return None if amount is None else build_configuration(int(key), target_investment=amount)


def build_records(
    key: str, before: float | None, after: float | None, *states: ChangeState
) -> list[dict[str, Any]]:
    change = record_row_change(
        CONFIGURATIONS, AUTHOR, build_row(key, before), build_row(key, after)
    )
    return [{**change, "state": state.value} for state in states]


def stored_cells(amounts: dict[str, float | None]) -> dict[str, Any]:
    return {
        key: json.loads(row_json(CONFIGURATIONS, build_row(key, amount)) or "null")
        for key, amount in amounts.items()
    }


@given(attempts=ATTEMPTS)
def test_every_change_that_nobody_told_of_is_settled_as_it_ended(
    attempts: list[tuple[str, float | None, bool, bool]],
) -> None:
    amounts: dict[str, float | None] = {"1": None, "2": 5.0}
    records: list[dict[str, Any]] = []
    ended: dict[str, ChangeState] = {}
    for key, after, made, told in attempts:
        before = amounts[key]
        if before == after:
            continue
        end = ChangeState.DONE if made else ChangeState.REFUSED
        states = [UNCONFIRMED, end] if told else [UNCONFIRMED]
        records += build_records(key, before, after, *states)
        if not told:
            ended[records[-1]["change_id"]] = end
        if made:
            amounts[key] = after
    assert settle_changes(records[::-1], stored_cells(amounts)) == ended


def test_nothing_is_said_of_a_row_that_somebody_changed_past_ipp() -> None:
    doubtful = build_records("1", 1.0, 2.0, UNCONFIRMED)
    assert settle_changes(doubtful, stored_cells({"1": 3.0})) == {}
    later = build_records("1", 2.0, 3.0, UNCONFIRMED, ChangeState.DONE)
    assert settle_changes([*later[::-1], *doubtful], stored_cells({"1": 9.0})) == {
        doubtful[0]["change_id"]: ChangeState.DONE
    }
