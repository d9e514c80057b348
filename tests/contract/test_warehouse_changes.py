"""No change of what all share is without its record, in every `Warehouse`."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.cloud.databricks.client import DatabricksClient
from ipp.core.change_table import CHANGES
from ipp.core.contract import Table
from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS
from ipp.formats.intake.table_import import ImportReport, TableImporter
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.change_record import (
    Author,
    ChangeState,
    Door,
    Operation,
    record_bulk_change,
    record_each_row,
    record_row_change,
)
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.change_log import ChangeLog
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.warehouse.databricks_changes import SETTLING_AGE
from ipp.storage.warehouse.databricks_warehouse import DatabricksWarehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.sql_statement import Statement, StatementRunner
from ipp.storage.warehouse.warehouse import ChangeQuery, TableRow
from tests.cloud.workspace import Workspace
from tests.cloud.workspace.tables import lay_out
from tests.contract.warehouses import AUTHOR, TODAY, Place, build_configuration, build_counters

pytest_plugins = ("tests.contract.sqlite_places",)

BETO = Author("b-2", "beto@example.com", Door.PAGE)
SPP, IPP = build_configuration(3), build_configuration(3, inventory_model="IPP", updated_on=TODAY)
ALL = ChangeQuery(limit=1_000)


def told(place: Place, wanted: ChangeQuery = ALL) -> list[dict[str, Any]]:
    return [dict(row) for row in place.warehouse.list_changes(wanted)]


def by_label(row: TableRow | None) -> dict[str, Any] | None:
    """Return a row as its record has it."""
    return (
        None
        if row is None
        else {
            label: str(row[name]) if isinstance(row[name], dt.date) else row[name]
            for name, label in CONFIGURATIONS.labels.items()
        }
    )


def cells_of(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def test_what_never_changed_has_no_changes(place: Place) -> None:
    assert told(place) == []


def test_each_change_tells_who_when_how_and_what(place: Place) -> None:
    place.put(CONFIGURATIONS, [])
    start = dt.datetime.now(dt.UTC).isoformat()
    assert place.warehouse.insert_configuration(SPP, AUTHOR)
    assert place.warehouse.update_configuration(SPP, IPP, BETO)
    assert place.warehouse.delete_configuration(IPP, AUTHOR)
    changes = told(place)
    assert [
        (row["author"], row["author_name"], row["door"], row["operation"]) for row in changes
    ] == [
        ("8f2c", "Ana Peña", "http", "borrar"),
        ("b-2", "beto@example.com", "página", "cambiar"),
        ("8f2c", "Ana Peña", "http", "crear"),
    ]
    assert [(cells_of(row["before"]), cells_of(row["after"])) for row in changes] == [
        (by_label(IPP), None), (by_label(SPP), by_label(IPP)), (None, by_label(SPP)),
    ]  # fmt: skip
    assert {(row["object"], row["row_key"], row["state"]) for row in changes} == {
        ("configuraciones", "3", "hecho")
    }
    moments = [row["changed_at"] for row in changes]
    assert [*moments, start] == sorted([*moments, start], reverse=True)
    assert len({row["change_id"] for row in changes}) == 3


def test_what_was_not_changed_is_not_told(place: Place) -> None:
    place.put(CONFIGURATIONS, [SPP])
    assert not place.warehouse.insert_configuration(IPP, AUTHOR)
    assert not place.warehouse.update_configuration(IPP, SPP, AUTHOR)
    assert not place.warehouse.delete_configuration(IPP, AUTHOR)
    assert told(place) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_changes_in_their_order_are_how_the_table_came_about(place: Place, seed: int) -> None:
    random = Random(seed)
    stored: dict[int, TableRow] = {}
    place.put(CONFIGURATIONS, [])
    for amount in range(12):
        mostrador = random.randint(1, 3)
        new = build_configuration(mostrador, target_investment=float(amount))
        before = stored.get(mostrador)
        if before is None:
            assert place.warehouse.insert_configuration(new, AUTHOR)
            stored[mostrador] = new
        elif random.random() < 0.4:
            assert place.warehouse.delete_configuration(before, BETO)
            del stored[mostrador]
        else:
            assert place.warehouse.update_configuration(before, new, BETO)
            stored[mostrador] = new
    replayed: dict[str, Any] = {}
    for change in reversed(told(place)):
        assert replayed.get(change["row_key"]) == cells_of(change["before"])
        replayed[change["row_key"]] = cells_of(change["after"])
    assert {key: row for key, row in replayed.items() if row} == {
        str(key): by_label(row) for key, row in stored.items()
    }


def test_those_who_change_at_once_are_each_told_once(place: Place) -> None:
    rows = [build_configuration(n, target_investment=float(n)) for n in range(1, 7)]
    place.put(CONFIGURATIONS, [])
    with ThreadPoolExecutor(len(rows)) as threads:
        assert all(threads.map(lambda row: place.warehouse.insert_configuration(row, AUTHOR), rows))
    assert sorted(row["row_key"] for row in told(place)) == [*"123456"]


def build_change(**cells: Any) -> dict[str, Any]:
    return {**record_row_change(CONFIGURATIONS, AUTHOR, SPP, IPP), **cells}


def test_a_change_is_told_once_and_that_it_may_not_have_been_made(place: Place) -> None:
    done, lost, open_ = ({"change_id": name} for name in ("hecho", "perdido", "abierto"))
    place.put(
        CHANGES,
        [
            build_change(**done, state=ChangeState.UNCONFIRMED.value),
            build_change(**done, state=ChangeState.DONE.value),
            build_change(**lost, state=ChangeState.UNCONFIRMED.value),
            build_change(**lost, state=ChangeState.REFUSED.value),
            build_change(**open_, state=ChangeState.UNCONFIRMED.value),
        ],
    )
    assert {row["change_id"]: row["state"] for row in told(place)} == {
        "hecho": "hecho",
        "abierto": "sin confirmar",
    }


def test_changes_are_found_by_object_counter_text_and_day(place: Place) -> None:
    bulk = record_bulk_change(
        CONFIGURATIONS, BETO, Operation.IMPORT, {"archivo": "Inversión.csv", "nuevos": 1}
    )
    goods = record_bulk_change(MATERIALS, BETO, Operation.IMPORT, {"archivo": "cat.csv"})
    row = build_change(row_key="12")
    rows = [
        {**row, "change_id": "uno", "changed_at": "2026-07-01T10:00:00.000000+00:00"},
        {**bulk, "change_id": "dos", "changed_at": "2026-07-02T10:00:00.000000+00:00"},
        {**goods, "change_id": "tres", "changed_at": "2026-07-03T10:00:00.000000+00:00"},
    ]
    place.put(CHANGES, rows)
    for wanted, found in (
        (ChangeQuery(9), ["tres", "dos", "uno"]),
        (ChangeQuery(9, title="materiales"), ["tres"]),
        (ChangeQuery(9, title="' OR 1=1 --"), []),
        (ChangeQuery(9, mostrador=12), ["dos", "uno"]),
        (ChangeQuery(9, mostrador=1), ["dos"]),
        (ChangeQuery(9, text="PEÑA"), ["uno"]),
        (ChangeQuery(9, text="inversion.CSV"), ["dos"]),
        (ChangeQuery(9, text="%"), []),
        (ChangeQuery(9, since="2026-07-02"), ["tres", "dos"]),
        (ChangeQuery(2), ["tres", "dos"]),
        (ChangeQuery(9, after=(rows[1]["changed_at"], "dos")), ["uno"]),
        (ChangeQuery(9, after=(rows[1]["changed_at"], "dosis")), ["dos", "uno"]),
    ):
        assert [change["change_id"] for change in told(place, wanted)] == found, wanted


def test_a_change_of_many_stands_for_its_rows_until_they_are_asked_for(place: Place) -> None:
    bulk = record_bulk_change(CONFIGURATIONS, BETO, Operation.IMPORT, {"archivo": "julio.csv"})
    bulk = {**bulk, "change_id": "uno", "changed_at": "2026-07-01"}
    ten = build_configuration(10, target_investment=777.0)
    rows = [*record_each_row(CONFIGURATIONS, bulk, [(SPP, IPP), (None, ten)])]
    older = {**bulk, "change_id": "dos", "changed_at": "2026-06-01"}
    place.put(CHANGES, [*rows, older])
    for wanted, found in (
        (ChangeQuery(9), ["uno", "dos"]),
        (ChangeQuery(9, bulk_id="uno"), ["uno/3", "uno/10"]),
        (ChangeQuery(1, bulk_id="uno", after=("2026-07-01", "uno/3")), ["uno/10"]),
        (ChangeQuery(9, bulk_id="un"), []),
        (ChangeQuery(9, bulk_id="%"), []),
        (ChangeQuery(9, mostrador=3), ["uno/3", "dos"]),
        (ChangeQuery(9, mostrador=7), ["dos"]),
        (ChangeQuery(9, text="777"), ["uno/10"]),
        (ChangeQuery(9, text="beto"), ["uno", "dos"]),
        (ChangeQuery(9, text="julio"), ["uno", "dos"]),
        (ChangeQuery(9, mostrador=3, text="beto"), ["uno/3", "dos"]),
    ):
        assert [change["change_id"] for change in told(place, wanted)] == found, wanted
    stored = {row["change_id"]: row for row in told(place, ChangeQuery(9, text="3"))}
    assert cells_of(stored["uno/3"]["before"]) == by_label(SPP)
    assert cells_of(stored["uno/3"]["after"]) == by_label(IPP)


# --- a workspace ----------------------------------------------------------------------------------


class Crash(BaseException):
    """The end of a process, which no code of ours survives."""


class CrashingRunner(StatementRunner):
    """A runner whose process ends before its change number ``last``."""

    last = 0

    def count_changed(self, statement: Statement) -> int:
        self.last -= 1
        if self.last == 0:
            raise Crash
        return super().count_changed(statement)


def test_a_change_whose_writer_died_between_its_statements_is_settled(
    running: Workspace, tables: Path, tmp_path: Path
) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    client = DatabricksClient(running.settings)
    runner = CrashingRunner(
        client, running.settings.warehouse, catalog=DEFAULT_CATALOG, waited=600.0
    )
    writer = DatabricksWarehouse(runner)
    other = build_configuration(4)
    place = Place(writer, lakehouse, tables)
    lay_out(lakehouse, tables)
    place.put(CONFIGURATIONS, [other])
    place.put(CHANGES, [])
    runner.last = 3  # made and not confirmed
    with pytest.raises(Crash):
        writer.insert_configuration(SPP, AUTHOR)
    runner.last = 2  # not made
    with pytest.raises(Crash):
        writer.delete_configuration(other, BETO)
    assert [row["state"] for row in told(place)] == ["sin confirmar", "sin confirmar"]
    much_later = dt.datetime.now(dt.UTC) + 2 * SETTLING_AGE
    readers = [DatabricksWarehouse(runner, lambda: much_later) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:  # two who look at once settle once
        assert [
            [(row["row_key"], row["state"]) for row in rows]
            for rows in threads.map(lambda reader: reader.list_changes(ALL), readers)
        ] == [[("3", "hecho")]] * 2
    assert {(row["row_key"], row["state"]) for row in place.content(CHANGES)} == {
        ("3", "sin confirmar"), ("3", "hecho"), ("4", "sin confirmar"), ("4", "no se hizo"),
    }  # fmt: skip
    client.close()


# --- one machine ----------------------------------------------------------------------------------


def die_before_copying(folder: Path) -> None:
    """Change a configuration and end, as by SIGKILL, before the table of changes is written."""
    lakehouse = DeltaLakehouse(folder)
    object.__setattr__(lakehouse, "append_rows", lambda *_: os._exit(9))
    LakehouseWarehouse(lakehouse).insert_configuration(SPP, AUTHOR)


def test_a_change_whose_writer_died_is_told_by_whoever_looks(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=die_before_copying, args=(tmp_path,)
    )
    child.start()
    child.join()
    assert child.exitcode == 9
    lakehouse = DeltaLakehouse(tmp_path)
    assert not lakehouse.table_exists(CHANGES)
    for _ in range(2):
        (change,) = LakehouseWarehouse(DeltaLakehouse(tmp_path)).list_changes(ALL)
        assert cells_of(change["after"]) == by_label(SPP)
    assert LakehouseWarehouse(lakehouse).update_configuration(SPP, IPP, BETO)
    assert len(LakehouseWarehouse(lakehouse).list_changes(ALL)) == 2


def test_a_change_is_made_even_where_its_copy_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    warehouse = LakehouseWarehouse(lakehouse)
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLakehouse, "append_rows", lambda *_: (_ for _ in ()).throw(OSError(28)))
        assert warehouse.insert_configuration(SPP, AUTHOR)
        assert warehouse.list_changes(ALL) == []
    assert len(warehouse.list_changes(ALL)) == 1


def test_maintenance_repeats_no_change_and_loses_none(tmp_path: Path) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    warehouse = LakehouseWarehouse(lakehouse)
    for number in range(1, 6):
        warehouse.insert_configuration(build_configuration(number), AUTHOR)
    for table in (CONFIGURATIONS, CHANGES):
        lakehouse.compact_table(table)
        lakehouse.vacuum_table(table, dt.timedelta(days=7))
    for reader in (warehouse, LakehouseWarehouse(DeltaLakehouse(tmp_path))):
        assert [row["row_key"] for row in reader.list_changes(ALL)] == [*"54321"]


def test_many_changes_stay_in_few_files(tmp_path: Path) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    for number in range(205):
        row = build_change(change_id=f"{number:03}")
        lakehouse.append_rows(CHANGES, pl.DataFrame([row], schema=CHANGES.schema))
    assert lakehouse.scan_table(CHANGES).select(pl.len()).collect().item() == 205
    assert lakehouse.compact_table(CHANGES).replaced <= 100


def give(file: Path, lakehouse: Lakehouse, table: Table = COUNTERS) -> ImportReport:
    importer = TableImporter(lakehouse, Scratch(file.parent / "scratch"))
    return importer.import_file(
        table, file,
        rejections=file.parent, today=TODAY, author=BETO, allow_rejections=True,
    )  # fmt: skip


def test_a_file_is_told_by_its_counts_and_the_versions_around_it(tmp_path: Path) -> None:
    lakehouse = DeltaLakehouse(tmp_path / "lakehouse")
    warehouse = LakehouseWarehouse(lakehouse)
    file = tmp_path / "mostradores.csv"
    file.write_text("mostrador,nombre,codigo_postal\n1,A,6700\n2,B,6700\n3,C,6700\nx,D,6700\n")
    give(file, lakehouse)
    first = lakehouse.version_id(COUNTERS)
    file.write_text("mostrador,nombre,codigo_postal\n1,A,6700\n2,BB,6700\n4,D,6700\n")
    give(file, lakehouse)
    give(file, lakehouse)  # changes nothing, and is not told
    changes = warehouse.list_changes(ALL)
    assert [cells_of(change["detail"]) for change in changes] == [
        {"archivo": file.name, "nuevos": 1, "cambiados": 1, "iguales": 1, "rechazados": 0},
        {"archivo": file.name, "nuevos": 3, "cambiados": 0, "iguales": 0, "rechazados": 1},
    ]
    assert [(change["version_before"], change["version_after"]) for change in changes] == [
        (first, lakehouse.version_id(COUNTERS)), ("", first),
    ]  # fmt: skip
    assert {(row["operation"], row["object"], row["row_key"]) for row in changes} == {
        ("importar", "mostradores", "")
    }


AMOUNTS = st.one_of(st.none(), st.integers(1, 3).map(float))
"""What a file says of a mostrador: None of one that it does not have."""


def put_counters(lakehouse: Lakehouse, count: int) -> None:
    rows = build_counters(*range(1, count + 1))
    lakehouse.replace_table(COUNTERS, pl.LazyFrame(rows, schema=COUNTERS.schema))


def write_amounts(file: Path, amounts: Mapping[int, float]) -> Path:
    lines = [f"{mostrador},{amount}" for mostrador, amount in amounts.items()]
    file.write_text("\n".join(["mostrador,monto_deseado", *lines, ""]))
    return file


@settings(max_examples=8)
@given(files=st.lists(st.lists(AMOUNTS, min_size=4, max_size=4), min_size=1, max_size=3))
def test_the_rows_of_files_in_their_order_are_how_the_table_came_about(
    files: list[list[float | None]],
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lakehouse = DeltaLakehouse(folder / "lakehouse")
        put_counters(lakehouse, 4)
        for number, cells in enumerate(files):
            amounts = {place: amount for place, amount in enumerate(cells, 1) if amount}
            if amounts:
                give(write_amounts(folder / f"{number}.csv", amounts), lakehouse, CONFIGURATIONS)
        warehouse = LakehouseWarehouse(lakehouse)
        replayed: dict[str, Any] = {}
        for bulk in reversed(warehouse.list_changes(ALL)):
            rows = warehouse.list_changes(ChangeQuery(9, bulk_id=bulk["change_id"]))
            detail = cells_of(bulk["detail"])
            assert detail["renglones"] == detail["nuevos"] + detail["cambiados"] == len(rows)
            for row in rows:
                assert replayed.get(row["row_key"]) == cells_of(row["before"])
                assert cells_of(row["detail"]) == {"archivo": detail["archivo"]}
                replayed[row["row_key"]] = cells_of(row["after"])
        stored = lakehouse.scan_table(CONFIGURATIONS).collect().to_dicts()
        assert replayed == {str(row["mostrador"]): by_label(row) for row in stored}


def test_rows_of_a_file_whose_writer_died_are_told_by_whoever_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse = DeltaLakehouse(tmp_path / "lakehouse")
    put_counters(lakehouse, 3)
    give(write_amounts(tmp_path / "a.csv", {1: 5, 2: 5}), lakehouse, CONFIGURATIONS)
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLakehouse, "append_rows", lambda *_: (_ for _ in ()).throw(OSError(28)))
        give(write_amounts(tmp_path / "b.csv", {2: 6, 3: 6}), lakehouse, CONFIGURATIONS)
        with pytest.raises(OSError, match="28"):
            ChangeLog(lakehouse).copy_records()  # so that no maintenance goes on
    lakehouse.compact_table(CONFIGURATIONS)
    for _ in range(2):
        warehouse = LakehouseWarehouse(DeltaLakehouse(tmp_path / "lakehouse"))
        newest, _ = warehouse.list_changes(ALL)
        rows = warehouse.list_changes(ChangeQuery(9, bulk_id=newest["change_id"]))
        assert [
            (row["row_key"], cells_of(row["before"]) and cells_of(row["before"])["monto_deseado"],
             cells_of(row["after"])["monto_deseado"])
            for row in rows
        ] == [("3", None, 6), ("2", 5, 6)]  # fmt: skip


def test_a_file_whose_old_version_is_gone_is_told_by_its_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse = DeltaLakehouse(tmp_path / "lakehouse")
    put_counters(lakehouse, 2)
    give(write_amounts(tmp_path / "a.csv", {1: 5}), lakehouse, CONFIGURATIONS)
    folder = Path(lakehouse.address(CONFIGURATIONS))
    old = [*folder.glob("*.parquet")]
    with monkeypatch.context() as patch:
        patch.setattr(DeltaLakehouse, "append_rows", lambda *_: (_ for _ in ()).throw(OSError(28)))
        give(write_amounts(tmp_path / "b.csv", {1: 6}), lakehouse, CONFIGURATIONS)
    for file in old:
        file.unlink()
    newest, oldest = LakehouseWarehouse(lakehouse).list_changes(ALL)
    assert "renglones" not in cells_of(newest["detail"])
    assert cells_of(oldest["detail"])["renglones"] == 1


def test_a_home_of_the_version_before_tells_from_its_first_change_on(tmp_path: Path) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    lakehouse.replace_table(CONFIGURATIONS, pl.LazyFrame([SPP], schema=CONFIGURATIONS.schema))
    warehouse = LakehouseWarehouse(lakehouse)
    assert warehouse.list_changes(ALL) == []
    assert warehouse.update_configuration(SPP, IPP, AUTHOR)
    told_now: Mapping[str, Any] = warehouse.list_changes(ALL)[0]
    assert cells_of(told_now["before"]) == by_label(SPP)
