"""Decide how a change ended whose writer did not come back to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ipp.storage.change_record import ChangeState, change_cells

_UNKNOWN_ROW: Final = object()


def settle_changes(
    records: Sequence[Mapping[str, Any]], stored: Mapping[str, Any]
) -> dict[str, ChangeState]:
    """Return the state in which each unconfirmed change ended, by id, without the doubtful ones.

    ``records`` are all those of the rows ``stored``, the newest first. ``stored`` has each row by
    its key, with the cells that records have; None is no row. It was read before the records, so
    a change that it does not have yet is the newest record or has none.

    A change was made if what it left is what the next one found, or what is stored now: of 1 → 2
    unconfirmed and 2 → 3 done, the first was made; of 1 → 2 unconfirmed and 1 → 3 done, it was not.
    A row that is neither as before nor as after was changed past IPP, and nothing is said of it.
    """
    ended = {row["change_id"] for row in records if row["state"] != ChangeState.UNCONFIRMED}
    found = dict(stored)
    verdicts = {}
    for record in records:
        key, change_id = record["row_key"], record["change_id"]
        before, after, _ = change_cells(record)
        if record["state"] == ChangeState.DONE:
            found[key] = before
        elif record["state"] == ChangeState.UNCONFIRMED and change_id not in ended:
            if found[key] == after:
                verdicts[change_id], found[key] = ChangeState.DONE, before
            elif found[key] == before:
                verdicts[change_id] = ChangeState.REFUSED
            else:
                found[key] = _UNKNOWN_ROW
    return verdicts
