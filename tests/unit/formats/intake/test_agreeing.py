"""An import that is shown before it is written."""

from __future__ import annotations

from collections.abc import Callable

from ipp.core.tables import CONFIGURATIONS, SELLOUT
from ipp.formats.intake.table_import import (
    ApproveChanges,
    ImportReport,
    PendingChanges,
)
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Bring = Callable[..., ImportReport]


def looking(seen: list[PendingChanges]) -> ApproveChanges:
    """Keeps what is shown, and never agrees."""

    def look(changes: PendingChanges) -> bool:
        seen.append(changes)
        return False

    return look


def test_what_is_new_and_what_changes_is_shown_and_nothing_else(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    bring(CONFIGURATIONS, "mostrador,monto_deseado\n1,10\n2,20\n", allow=True, agree=lambda _: True)
    seen: list[PendingChanges] = []
    report = bring(
        CONFIGURATIONS,
        "mostrador,monto_deseado\n1,10\n2,21\n3,30\nx,1\n",
        allow=True,
        agree=looking(seen),
    )
    assert report.rows_added == 1
    assert report.rows_changed == 1
    assert report.rows_rejected == 1
    assert report.changed is False
    (changes,) = seen
    assert changes.before.select("mostrador", "target_investment").rows() == [(2, 20)]
    assert changes.after.select("mostrador", "target_investment").rows() == [(2, 21), (3, 30)]
    assert set(changes.file_columns) == {"mostrador", "target_investment"}
    stored = lakehouse.scan_table(CONFIGURATIONS).select("mostrador", "target_investment").collect()
    assert stored.rows() == [(1, 10), (2, 20)], "nobody agreed"


def test_what_somebody_agrees_to_is_what_is_written(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    def agree(changes: PendingChanges) -> bool:
        # The lock is held while one looks, and lets its holder in again.
        with lakehouse.write_lock(CONFIGURATIONS):
            return changes.after.height == 1

    assert bring(CONFIGURATIONS, "mostrador\n1\n", allow=True, agree=agree).changed
    assert not bring(CONFIGURATIONS, "mostrador\n1\n2\n3\n", allow=True, agree=agree).changed
    assert lakehouse.scan_table(CONFIGURATIONS).collect()["mostrador"].to_list() == [1]


def test_rows_of_several_partitions_are_shown_together(bring: Bring) -> None:
    days = "mostrador,material,fecha,piezas\n2,11,2024-02-01,1\n1,11,2024-01-01,2\n"
    bring(SELLOUT, days, allow=True, agree=lambda _: True)
    seen: list[PendingChanges] = []
    bring(
        SELLOUT,
        days.replace(",2\n", ",3\n") + "1,12,2024-03-01,4\n",
        allow=True,
        agree=looking(seen),
    )
    assert seen[0].before["units"].to_list() == [2]
    assert sorted(seen[0].after["units"]) == [3, 4]
