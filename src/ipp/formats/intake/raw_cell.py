"""The raw cells of a file, independent of its format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, normalise_label
from ipp.errors import MissingColumnError, UnreadableFileError

ROW_COLUMN: Final = "#fila"
"""Column with a row's number as a person sees it, counted from 1 with the heading."""

EXCESS_COLUMN: Final = "#sobrante"
"""Column with the first cell of a row that has no heading above it; null where there is none."""

HEADING_SEARCH_ROWS: Final = 20
"""Rows at the top of a file in which the headings are searched."""


@dataclass(frozen=True, slots=True)
class RawCells:
    """The raw cells of a file.

    ``frame`` has `ROW_COLUMN`, `EXCESS_COLUMN` and one column for each of ``headings``, named by
    `cell_column`; some of them also have a column named by `flaw_column` or by `stored`.
    ``unmarked`` is true where no cell has a point or a comma. ``sheet`` is the sheet's name where
    a workbook has several, and ``merged`` whether it has merged cells. ``notices`` tell what a
    person who looks at the file may not see, or what of it is not used.
    """

    headings: tuple[str, ...]
    frame: pl.LazyFrame
    unmarked: bool = False
    sheet: str = ""
    merged: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedColumns:
    """The ``columns`` to find in a file, and the ``needed`` ones that identify the right table."""

    columns: Sequence[Column] = ()
    needed: Sequence[Column] = ()

    def are_in(self, headings: Iterable[str]) -> bool:
        """Return whether ``headings`` have every needed column."""
        labels = {normalise_label(heading) for heading in headings}
        return all(column.spellings & labels for column in self.needed)

    def column_of(self, heading: str) -> Column | None:
        """Return the column that a heading names; None where there is none."""
        label = normalise_label(heading)
        return next((column for column in self.columns if label in column.spellings), None)

    def check_place(self, file: Path, head: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Raise `MissingColumnError` where the headings are below the first row.

        ``head`` has the first rows, each with its number.
        """
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
    """Return the name of the column of `RawCells.frame` for the heading at ``position``, from 0."""
    return f"#{position}"


def flaw_column(position: int) -> str:
    """Return the name of the column with why a cell, whatever its text, cannot be used.

    It is null for cells that can be used.
    """
    return f"#defecto:{position}"


def stored(position: int) -> str:
    """Return the name of the column that is true where the file stores a number, not a text.

    It is null where that is unknown. Without it every cell of a text column is a text.
    """
    return f"#guardado:{position}"


def empty_file_error(file: Path) -> UnreadableFileError:
    """Return the error for a file with nothing in it."""
    return UnreadableFileError(
        f"{file.name} no tiene encabezados ni datos.",
        hint="Ponga los encabezados en la primera fila.",
    )
