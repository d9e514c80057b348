"""Records of changes to what all share: who changed what, when, from what, to what."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ipp.core.contract import Table

RECORD_METADATA_KEY: Final = "ipp.change"
"""Key of a change's record in the metadata of the commit that made it."""

ROW_ID_SEPARATOR: Final = "/"
"""What follows the id of a change of many rows in the ids of its rows; in no other id."""

FILE_LABEL: Final = "archivo"
"""Label of the file's name in the detail of an import."""

ROWS_LABEL: Final = "renglones"
"""Label of the number of rows that are recorded one by one, in the detail of their change."""


class Door(StrEnum):
    """The way by which a change came in."""

    HTTP = "http"
    PAGE = "página"
    COMMAND = "línea de comandos"


class Operation(StrEnum):
    """What was done to the object."""

    CREATE = "crear"
    UPDATE = "cambiar"
    DELETE = "borrar"
    IMPORT = "importar"
    SAMPLE = "crear muestra"


class ChangeState(StrEnum):
    """Whether the change that a record tells of was made."""

    DONE = "hecho"
    """It was made."""
    UNCONFIRMED = "sin confirmar"
    """Written before the change, by a writer that did not come back to say how it ended."""
    REFUSED = "no se hizo"
    """It was not made, because the row was not as its writer had read it."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change: the identity ``sub``, a ``name`` for people, and the ``door``.

    ``file`` is the name that they gave their file, where it is imported under another one.
    """

    sub: str
    name: str
    door: Door
    file: str = ""


def record_row_change(
    table: Table,
    author: Author,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the record of a change of one row: None ``before`` is a new row, ``after`` a deletion.

    It has the columns of `ipp.core.tables.CHANGES` by name in code, the versions not yet known.
    """
    key = _row_key(table, before, after)
    operation = Operation.UPDATE
    if before is None or after is None:
        operation = Operation.CREATE if before is None else Operation.DELETE
    record = _new_record(table, author, operation)
    return {
        **record, "row_key": key,
        "before": row_json(table, before), "after": row_json(table, after),
    }  # fmt: skip


def record_bulk_change(
    table: Table, author: Author, operation: Operation, detail: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the record of a change of many rows, whose before and after are table versions.

    ``detail`` has the counts of rows by what happened to them, and the name of the file.
    """
    return {**_new_record(table, author, operation), "detail": _to_json(detail)}


def record_each_row(
    table: Table,
    bulk: Mapping[str, Any],
    rows: Iterable[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]],
) -> Iterator[dict[str, Any]]:
    """Yield the record of a change of many rows, and one of each row, with its before and after.

    ``bulk`` is of `record_bulk_change`. Its detail gains the number of rows, and their ids are its
    own, `ROW_ID_SEPARATOR` and their key, so that recording them again gives the same ids.
    """
    detail = json.loads(bulk.get("detail") or "{}")
    said = {FILE_LABEL: detail[FILE_LABEL]} if FILE_LABEL in detail else None
    count = 0
    for before, after in rows:
        count += 1
        key = _row_key(table, before, after)
        yield {
            **bulk,
            "change_id": f"{bulk['change_id']}{ROW_ID_SEPARATOR}{key}",
            "row_key": key,
            "before": row_json(table, before),
            "after": row_json(table, after),
            "detail": said and _to_json(said),
        }
    yield {**bulk, "detail": _to_json({**detail, ROWS_LABEL: count})}


def change_cells(change: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return the before, the after and the detail of a stored record, read from their JSON."""
    before, after, detail = (
        None if change[name] is None else json.loads(change[name])
        for name in ("before", "after", "detail")
    )
    return before, after, detail


def changed_fields(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    """Return the label, the value before and the value after of each field that differs.

    ``before`` and ``after`` are rows by label, or None: a new row has no before, a deleted no
    after, and of those each field with a value counts.
    """
    was, now = before or {}, after or {}
    return [
        (label, was.get(label), now.get(label))
        for label in was | now
        if was.get(label) != now.get(label)
    ]


def _new_record(table: Table, author: Author, operation: Operation) -> dict[str, Any]:
    # With all six decimals, so that the texts are in the order of the moments.
    moment = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    return {
        "change_id": uuid.uuid4().hex,
        "state": ChangeState.DONE.value,
        "changed_at": moment,
        "author": author.sub,
        "author_name": author.name,
        "door": author.door.value,
        "operation": operation.value,
        "object": table.title,
        "row_key": "",
        "before": None,
        "after": None,
        "detail": None,
        "version_before": None,
        "version_after": None,
    }


def _row_key(
    table: Table, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> str:
    row = after or before
    if row is None:
        raise ValueError("a change has a row before it or after it")
    return " ".join(str(row[name]) for name in table.key)


def row_json(table: Table, row: Mapping[str, Any] | None) -> str | None:
    """Return a row by label as records have it, in JSON; None is no row."""
    if row is None:
        return None
    return _to_json({column.label: row[column.name] for column in table.columns})


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
