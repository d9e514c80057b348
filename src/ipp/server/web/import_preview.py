"""What an import of configuraciones would change, as it is shown to whoever is to agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import polars as pl

from ipp.core.tables import CONFIGURATIONS, MOSTRADOR
from ipp.errors import InvalidInputError
from ipp.formats.intake.table_import import Changes
from ipp.server.api.configuration_register import version_of
from ipp.server.api.configuration_routes import CHANGEABLE, shape
from ipp.server.web.configuration_pages import without
from ipp.storage.warehouse.warehouse import Row

SHOWN: Final = 500
"""Rows of each kind that are shown."""

MOST: Final = 10_000
"""Configurations that a form changes: as many as a job has mostradores."""

VERSION: Final = "version"
"""The column of a form's rows that says which version of each was shown; empty for one that was not there."""

Pair = tuple[Row | None, Row]
"""A configuration as it is stored, None where it is not, and as it is to be."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that would change; ``overtaken`` where somebody else changed its configuration since it was shown."""

    mostrador: str
    label: str
    before: Any
    after: Any
    overtaken: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be stored: how many are new and how many change, some of them, and ``rows`` to be sent again."""

    added: int
    changed: int
    new: Sequence[Mapping[str, Any]]
    cells: Sequence[Cell]
    rows: str


def is_as_seen(changes: Changes, seen: Mapping[str, str]) -> bool:
    """Whether everything that would change is stored in the version that was ``seen``, by mostrador."""
    return not any(_overtaken(pair, seen) for pair in _pairs(changes))


def preview_of(changes: Changes, seen: Mapping[str, str] | None = None) -> Preview:
    """What changes, that first which is no longer as it was ``seen``. Raises `InvalidInputError` beyond `MOST`."""
    pairs = list(_pairs(changes))
    if len(pairs) > MOST:
        raise InvalidInputError(
            f"El archivo cambiaría {len(pairs):,} configuraciones; aquí se cambian {MOST:,} a lo más a la vez.",
            hint="Divídalo en varios, o impórtelo con ipp import configuraciones.",
        )
    overtaken = partial(_overtaken, seen=seen)
    pairs.sort(key=overtaken, reverse=True)
    new = [pair for pair in pairs if pair[0] is None]
    changed = [pair for pair in pairs if pair[0] is not None]
    return Preview(
        added=len(new),
        changed=len(changed),
        new=[_row(after, overtaken=overtaken((before, after))) for before, after in new[:SHOWN]],
        cells=[cell for pair in changed[:SHOWN] for cell in _cells(*pair, overtaken=overtaken(pair))],
        rows=_written(changes, pairs),
    )


def _row(after: Row, *, overtaken: bool) -> Mapping[str, Any]:
    shown = shape(after)
    return {**shown, "without": without(shown), "overtaken": overtaken}


def _cells(before: Row | None, after: Row, *, overtaken: bool) -> Iterator[Cell]:
    """The values that change."""
    for column in CHANGEABLE:
        if before is not None and before[column.name] != after[column.name]:
            yield Cell(str(after["mostrador"]), column.label, before[column.name], after[column.name], overtaken)


def _pairs(changes: Changes) -> Iterator[Pair]:
    """What differs in more than the day of its change, by mostrador."""
    stored = {row["mostrador"]: row for row in changes.before.iter_rows(named=True)}
    for after in changes.after.iter_rows(named=True):
        before = stored.get(after["mostrador"])
        if before is None or any(before[column.name] != after[column.name] for column in CHANGEABLE):
            yield before, after


def _overtaken(pair: Pair, seen: Mapping[str, str] | None) -> bool:
    before, after = pair
    return seen is not None and _version(before) != seen.get(str(after["mostrador"]))


def _version(row: Row | None) -> str:
    return "" if row is None else version_of(row)


def _written(changes: Changes, pairs: Sequence[Pair]) -> str:
    """The rows that differ, in the columns that the file has, each with the version that is shown."""
    brought = [MOSTRADOR, *(column for column in CHANGEABLE if column.name in changes.brought)]
    rows = pl.DataFrame([after for _, after in pairs], schema=CONFIGURATIONS.schema)
    versions = pl.Series(VERSION, [_version(before) for before, _ in pairs], pl.String)
    return rows.select(pl.col(column.name).alias(column.label) for column in brought).with_columns(versions).write_csv()
