"""The raw cells of a file, whatever kind of file they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, normalise_label
from ipp.errors import MissingColumnError, UnreadableFileError

ROW_COLUMN: Final = "#fila"
"""Column with a row's number as a person sees it: the heading is row 1."""

EXCESS_COLUMN: Final = "#sobrante"
"""Column with the first cell of a row that has no heading above it; null where there is none."""

HEADING_SEARCH_ROWS: Final = 20
"""Rows among which the headings are looked for."""


@dataclass(frozen=True, slots=True)
class RawCells:
    """The raw cells of a file.

    ``frame`` has `ROW_COLUMN`, `EXCESS_COLUMN` and one column for each of ``headings``, named by `cell_column`; beside some of them
    one named by `flaw_column`, beside others one named by `stored`. ``comma`` tells that the file separates its cells
    with semicolons, so that a comma in a number may be the decimal one; ``unmarked`` that no cell has a point or
    a comma. ``sheet`` is the sheet's name where a workbook has several, ``merged`` whether cells of it are merged.
    """

    headings: tuple[str, ...]
    frame: pl.LazyFrame
    comma: bool = False
    unmarked: bool = False
    sheet: str = ""
    merged: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedColumns:
    """What is looked for in a file: its ``columns``, and those without which it is not the right table."""

    columns: Sequence[Column] = ()
    needed: Sequence[Column] = ()

    def are_in(self, headings: Iterable[str]) -> bool:
        """Whether ``headings`` have every needed column."""
        labels = {normalise_label(heading) for heading in headings}
        return all(column.spellings & labels for column in self.needed)

    def column_of(self, heading: str) -> Column | None:
        """Give the column that a heading means."""
        label = normalise_label(heading)
        return next((column for column in self.columns if label in column.spellings), None)

    def check_place(self, file: Path, head: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Raise `MissingColumnError` where the headings stand below the first row; ``head`` has row numbers."""
        (first, headings), *below = head
        if not self.needed or any(self.column_of(heading) for heading in headings):
            return
        row = next(
            (row for row, cells in below if row <= HEADING_SEARCH_ROWS and self.are_in(cells)), None
        )
        if row is not None:
            raise MissingColumnError(
                f"En {file.name}, la fila {first} no tiene ningún encabezado conocido.",
                hint=f"Los encabezados parecen estar en la fila {row}: borre las de arriba.",
            )


def cell_column(position: int) -> str:
    """Name of the column of `RawCells.frame` under the heading at ``position``, from 0."""
    return f"#{position}"


def flaw_column(position: int) -> str:
    """Name of the column that says why a cell, whatever its text, cannot be used; null for those that can."""
    return f"#defecto:{position}"


def stored(position: int) -> str:
    """Name of the column that tells which cells are numbers in the file itself, and not texts that people wrote.

    It is null where nobody knows; without it every cell of a column of texts is one.
    """
    return f"#guardado:{position}"


def empty_file_error(file: Path) -> UnreadableFileError:
    """The error for a file with nothing in it."""
    return UnreadableFileError(
        f"{file.name} no tiene encabezados ni datos.",
        hint="Ponga los encabezados en la primera fila.",
    )
