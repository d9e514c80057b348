"""An import that is shown before it is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from ipp.core.contract import Table
from ipp.core.tables import CONFIGURATIONS, SELLOUT
from ipp.formats.intake.table_import import (
    ApproveChanges,
    ImportReport,
    PendingChanges,
    import_file,
)
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Ask = Callable[[Table, str, ApproveChanges], ImportReport]


@pytest.fixture
def ask(lakehouse: DeltaLakehouse, tmp_path: Path) -> Ask:
    def ask(table: Table, content: str, agree: ApproveChanges) -> ImportReport:
        file = tmp_path / "datos.csv"
        file.write_text(content)
        return import_file(
            table, file, lakehouse, Scratch(tmp_path / "scratch"), rejections=tmp_path / "rechazos",
            today=dt.date(2024, 6, 30), allow_rejections=True, agree=agree,
        )  # fmt: skip

    return ask


def looking(seen: list[PendingChanges]) -> ApproveChanges:
    """Keeps what is shown, and never agrees."""

    def look(changes: PendingChanges) -> bool:
        seen.append(changes)
        return False

    return look


def test_what_is_new_and_what_changes_is_shown_and_nothing_else(
    ask: Ask, lakehouse: DeltaLakehouse
) -> None:
    ask(CONFIGURATIONS, "mostrador,monto_deseado\n1,10\n2,20\n", lambda _: True)
    seen: list[PendingChanges] = []
    report = ask(CONFIGURATIONS, "mostrador,monto_deseado\n1,10\n2,21\n3,30\nx,1\n", looking(seen))
    assert (report.rows_added, report.rows_changed, report.rows_rejected, report.changed) == (
        1,
        1,
        1,
        False,
    )
    (changes,) = seen
    assert changes.before.select("mostrador", "target_investment").rows() == [(2, 20)]
    assert changes.after.select("mostrador", "target_investment").rows() == [(2, 21), (3, 30)]
    assert set(changes.file_columns) == {"mostrador", "target_investment"}
    stored = lakehouse.scan_table(CONFIGURATIONS).select("mostrador", "target_investment").collect()
    assert stored.rows() == [(1, 10), (2, 20)], "nobody agreed"


def test_rows_of_several_partitions_are_shown_together(ask: Ask) -> None:
    days = "mostrador,material,fecha,piezas\n2,11,2024-02-01,1\n1,11,2024-01-01,2\n"
    ask(SELLOUT, days, lambda _: True)
    seen: list[PendingChanges] = []
    ask(SELLOUT, days.replace(",2\n", ",3\n") + "1,12,2024-03-01,4\n", looking(seen))
    assert seen[0].before["units"].to_list() == [2]
    assert sorted(seen[0].after["units"]) == [3, 4]


def test_what_somebody_agrees_to_is_what_is_written(ask: Ask, lakehouse: DeltaLakehouse) -> None:
    def agree(changes: PendingChanges) -> bool:
        with lakehouse.write_lock(
            CONFIGURATIONS
        ):  # it is held while one looks, and lets its holder in again
            return changes.after.height == 1

    assert ask(CONFIGURATIONS, "mostrador\n1\n", agree).changed
    assert not ask(CONFIGURATIONS, "mostrador\n1\n2\n3\n", agree).changed
    assert lakehouse.scan_table(CONFIGURATIONS).collect()["mostrador"].to_list() == [1]
