"""What an import of configuraciones would change, as it is shown to whoever is to agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import polars as pl

from ipp.core.tables import CONFIGURATIONS, MOSTRADOR
from ipp.errors import InvalidInputError
from ipp.formats.intake.table_import import PendingChanges
from ipp.server.api.configuration_register import row_version
from ipp.server.api.configuration_routes import EDITABLE_COLUMNS, to_document
from ipp.server.web.configuration_pages import switched_off
from ipp.storage.warehouse.warehouse import TableRow

MAX_SHOWN_ROWS: Final = 500
"""Rows of each kind that are shown."""

MAX_CHANGED_ROWS: Final = 10_000
"""Configurations that a form changes: as many as a job has mostradores."""

VERSION_COLUMN: Final = "version"
"""The column of a form's rows that says which version of each was shown; empty for one that was not there."""

RowPair = tuple[TableRow | None, TableRow]
"""A configuration as it is stored, None where it is not, and as it is to be."""


@dataclass(frozen=True, slots=True)
class ChangedCell:
    """A value that would change; ``overtaken`` where somebody else changed its configuration since it was shown."""

    mostrador: str
    label: str
    before: Any
    after: Any
    overtaken: bool


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What would be stored: how many are new and how many change, some of them, and ``rows`` to be sent again."""

    added: int
    changed: int
    new: Sequence[Mapping[str, Any]]
    cells: Sequence[ChangedCell]
    rows: str


def is_as_seen(changes: PendingChanges, seen: Mapping[str, str]) -> bool:
    """Whether everything that would change is stored in the version that was ``seen``, by mostrador."""
    return not any(_is_overtaken(pair, seen) for pair in _changed_pairs(changes))


def build_preview(changes: PendingChanges, seen: Mapping[str, str] | None = None) -> ImportPreview:
    """What changes, that first which is no longer as it was ``seen``. Raises `InvalidInputError` beyond `MAX_CHANGED_ROWS`."""
    pairs = list(_changed_pairs(changes))
    if len(pairs) > MAX_CHANGED_ROWS:
        raise InvalidInputError(
            f"El archivo cambiaría {len(pairs):,} configuraciones; aquí se cambian {MAX_CHANGED_ROWS:,} a lo más a la vez.",
            hint="Divídalo en varios, o impórtelo con ipp import configuraciones.",
        )
    overtaken = partial(_is_overtaken, seen=seen)
    pairs.sort(key=overtaken, reverse=True)
    new = [pair for pair in pairs if pair[0] is None]
    changed = [pair for pair in pairs if pair[0] is not None]
    return ImportPreview(
        added=len(new),
        changed=len(changed),
        new=[
            _preview_row(after, overtaken=overtaken((before, after)))
            for before, after in new[:MAX_SHOWN_ROWS]
        ],
        cells=[
            cell
            for pair in changed[:MAX_SHOWN_ROWS]
            for cell in _changed_cells(*pair, overtaken=overtaken(pair))
        ],
        rows=_serialise_rows(changes, pairs),
    )


def _preview_row(after: TableRow, *, overtaken: bool) -> Mapping[str, Any]:
    shown = to_document(after)
    return {**shown, "without": switched_off(shown), "overtaken": overtaken}


def _changed_cells(
    before: TableRow | None, after: TableRow, *, overtaken: bool
) -> Iterator[ChangedCell]:
    """The values that change."""
    for column in EDITABLE_COLUMNS:
        if before is not None and before[column.name] != after[column.name]:
            yield ChangedCell(
                str(after["mostrador"]),
                column.label,
                before[column.name],
                after[column.name],
                overtaken,
            )


def _changed_pairs(changes: PendingChanges) -> Iterator[RowPair]:
    """What differs in more than the day of its change, by mostrador."""
    stored = {row["mostrador"]: row for row in changes.before.iter_rows(named=True)}
    for after in changes.after.iter_rows(named=True):
        before = stored.get(after["mostrador"])
        if before is None or any(
            before[column.name] != after[column.name] for column in EDITABLE_COLUMNS
        ):
            yield before, after


def _is_overtaken(pair: RowPair, seen: Mapping[str, str] | None) -> bool:
    before, after = pair
    return seen is not None and _stored_version(before) != seen.get(str(after["mostrador"]))


def _stored_version(row: TableRow | None) -> str:
    return "" if row is None else row_version(row)


def _serialise_rows(changes: PendingChanges, pairs: Sequence[RowPair]) -> str:
    """The rows that differ, in the columns that the file has, each with the version that is shown."""
    brought = [
        MOSTRADOR,
        *(column for column in EDITABLE_COLUMNS if column.name in changes.brought),
    ]
    rows = pl.DataFrame([after for _, after in pairs], schema=CONFIGURATIONS.schema)
    versions = pl.Series(
        VERSION_COLUMN, [_stored_version(before) for before, _ in pairs], pl.String
    )
    return (
        rows.select(pl.col(column.name).alias(column.label) for column in brought)
        .with_columns(versions)
        .write_csv()
    )
