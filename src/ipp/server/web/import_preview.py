"""Preview of an import of configuraciones, for the person who has to confirm it."""

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
from ipp.storage.warehouse.warehouse import RowChange, TableRow

MAX_SHOWN_ROWS: Final = 500
"""Rows of each kind that a preview shows, at most."""

MAX_CHANGED_ROWS: Final = 10_000
"""Configurations that one form may change: as many as a job may have mostradores."""

VERSION_COLUMN: Final = "version"
"""Column of a form's rows with the version that was shown of each; empty for a new one."""


@dataclass(frozen=True, slots=True)
class ChangedCell:
    """A value that would change.

    ``overtaken`` if somebody else changed its configuration since it was shown.
    """

    mostrador: str
    label: str
    before: Any
    after: Any
    overtaken: bool


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """The counts of new and of changed configurations, and the first of each.

    ``rows`` is CSV of all of them, which the form sends back on confirmation.
    """

    added: int
    changed: int
    new: Sequence[Mapping[str, Any]]
    cells: Sequence[ChangedCell]
    rows: str


def is_as_seen(changes: PendingChanges, seen: Mapping[str, str]) -> bool:
    """Return whether each row to be changed still has the version in ``seen``, by mostrador."""
    return not any(_is_overtaken(pair, seen) for pair in _changed_pairs(changes))


def build_preview(changes: PendingChanges, seen: Mapping[str, str] | None = None) -> ImportPreview:
    """Return the changes, those first whose stored version differs from the one in ``seen``.

    Raises `InvalidInputError` beyond `MAX_CHANGED_ROWS`.
    """
    pairs = list(_changed_pairs(changes))
    if len(pairs) > MAX_CHANGED_ROWS:
        raise InvalidInputError(
            f"El archivo cambiaría {len(pairs):,} configuraciones; "
            f"aquí se cambian {MAX_CHANGED_ROWS:,} a lo más a la vez.",
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
    document = to_document(after)
    return {**document, "without": switched_off(document), "overtaken": overtaken}


def _changed_cells(
    before: TableRow | None, after: TableRow, *, overtaken: bool
) -> Iterator[ChangedCell]:
    """Yield the values that change."""
    for column in EDITABLE_COLUMNS:
        if before is not None and before[column.name] != after[column.name]:
            yield ChangedCell(
                str(after["mostrador"]),
                column.label,
                before[column.name],
                after[column.name],
                overtaken,
            )


def pair_rows(changes: PendingChanges) -> Sequence[RowChange]:
    """Return each row to be stored with the one that it replaces."""
    stored = {row["mostrador"]: row for row in changes.before.iter_rows(named=True)}
    rows = changes.after.iter_rows(named=True)
    return [(stored.get(after["mostrador"]), after) for after in rows]


def _changed_pairs(changes: PendingChanges) -> Iterator[RowChange]:
    """Yield the rows that differ in more than their date of change, by mostrador."""
    for before, after in pair_rows(changes):
        if before is None or any(
            before[column.name] != after[column.name] for column in EDITABLE_COLUMNS
        ):
            yield before, after


def _is_overtaken(pair: RowChange, seen: Mapping[str, str] | None) -> bool:
    before, after = pair
    return seen is not None and _stored_version(before) != seen.get(str(after["mostrador"]))


def _stored_version(row: TableRow | None) -> str:
    return "" if row is None else row_version(row)


def _serialise_rows(changes: PendingChanges, pairs: Sequence[RowChange]) -> str:
    """Return the rows as CSV: the columns of the file, and the version shown of each row."""
    columns = [
        MOSTRADOR,
        *(column for column in EDITABLE_COLUMNS if column.name in changes.file_columns),
    ]
    rows = pl.DataFrame([after for _, after in pairs], schema=CONFIGURATIONS.schema)
    versions = pl.Series(
        VERSION_COLUMN, [_stored_version(before) for before, _ in pairs], pl.String
    )
    return (
        rows.select(pl.col(column.name).alias(column.label) for column in columns)
        .with_columns(versions)
        .write_csv()
    )
