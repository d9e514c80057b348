"""Check the rows of a file against a table's contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind, Table, normalise_label
from ipp.errors import InvalidInputError, MissingColumnError, name_some, shorten
from ipp.formats.intake.cell_parser import (
    Notation,
    cell_text,
    cell_value,
    misread_reason,
    plain_value,
)
from ipp.formats.intake.column_notation import find_notations
from ipp.formats.intake.raw_cell import (
    EXCESS_COLUMN,
    ROW_COLUMN,
    RawCells,
    cell_column,
    flaw_column,
    stored,
)

ACCEPTED_COLUMN: Final = "#good"
"""Column that is true where a row of `RowCheck.accept_rows` has nothing rejected."""

_EMPTY_REASON: Final = "la celda está vacía: escriba un valor"
_MERGED_EMPTY_REASON: Final = "la celda está vacía (¿celdas combinadas?): escriba un valor"
_EXCESS_CELLS_REASON: Final = "hay más celdas que encabezados (¿coma decimal sin comillas?)"

_EARLIEST_DATE: Final = dt.date(2000, 1, 1)
"""An earlier date is a typing error: no file is that old."""


@dataclass(frozen=True, slots=True)
class KnownIds:
    """The ids that a column may refer to, and the title of the table that has them."""

    title: str
    ids: pl.Series


def text_column(column: Column) -> str:
    """Return the name of the column of `check_rows` with a cell as it was written."""
    return f"#texto:{column.name}"


def reason_column(column: Column) -> str:
    """Return the name of the column of `check_rows` with why a cell is rejected."""
    return f"#motivo:{column.name}"


def excess_reason() -> pl.Expr:
    """Return why a row with more cells than headings is rejected; null for any other row."""
    return pl.when(pl.col(EXCESS_COLUMN).is_not_null()).then(pl.lit(_EXCESS_CELLS_REASON))


def is_accepted(table: Table) -> pl.Expr:
    """Return whether a row of `check_rows` has nothing rejected."""
    return pl.all_horizontal(
        pl.col(EXCESS_COLUMN).is_null(),
        *(pl.col(reason_column(column)).is_null() for column in table.columns),
    )


def match_headings(
    table: Table, file: Path, headings: tuple[str, ...], *, sheet: str = ""
) -> Mapping[str, int]:
    """Return the position, from 0, of each of the table's columns that the file has.

    ``sheet`` is the sheet that was read, where there are several. Raises `InvalidInputError` where
    two headings name one column, `MissingColumnError` where a required column without a default
    has no heading.
    """
    positions: dict[str, int] = {}
    for position, heading in enumerate(headings):
        label = normalise_label(heading)
        for column in table.columns:
            if label not in column.spellings:
                continue
            if column.name in positions:
                first = headings[positions[column.name]]
                both = f"«{shorten(first)}» y «{shorten(heading)}»"
                raise InvalidInputError(
                    f"En {file.name}, {both} son la misma columna, {column.label}.",
                    hint="Deje sólo una de ellas.",
                )
            positions[column.name] = position
    missing = [
        c for c in table.columns if c.required and c.default is None and c.name not in positions
    ]
    if missing:
        raise missing_columns_error(missing, file, headings, sheet=sheet)
    return positions


def missing_columns_error(
    missing: Sequence[Column], file: Path, headings: tuple[str, ...], *, sheet: str = ""
) -> MissingColumnError:
    """Return the error that names the columns a file lacks and the headings it has."""
    labels = ", ".join(f"«{column.label}»" for column in missing)
    have = name_some([f"«{shorten(h.strip())}»" for h in headings if h.strip()])
    spellings = "; ".join(
        f"{column.label} se acepta también como {' o '.join(column.aliases)}"
        for column in missing
        if column.aliases
    )
    place = f"la hoja «{sheet}» de " if sheet else ""
    return MissingColumnError(
        f"A {place}{file.name} le falta {labels}. Encabezados encontrados: {have}.",
        hint=f"Ponga ese encabezado en la primera fila{f' ({spellings})' if spellings else ''}.",
    )


@dataclass(frozen=True, slots=True)
class RowCheck:
    """The rules for the rows of one file; `read_rules` returns them.

    ``positions`` comes from `match_headings`; ``known`` has, by column, the ids it may refer to;
    ``notations`` is how each column writes numbers or dates; ``empty`` is why an empty cell is
    refused, and ``notices`` say which notation was assumed.
    """

    table: Table
    positions: Mapping[str, int]
    known: Mapping[str, KnownIds]
    today: dt.date
    notations: Mapping[str, Notation]
    empty: str
    notices: tuple[str, ...] = ()

    def explain_rows(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Parse every cell and decide whether it is rejected; rows without any cell are dropped.

        ``frame`` has raw cells. The result has `ROW_COLUMN`, `EXCESS_COLUMN` and, for each column
        of the table, its value under its own name, its `text_column` and its `reason_column`.
        """
        schema, positions = frame.collect_schema(), self.positions
        dtypes, texts = _cell_texts(self.table, schema, positions)
        filled = pl.any_horizontal(pl.col(name).is_not_null() for name in texts)
        flaws = _reader_flaws(self.table, schema, positions)
        kept = {name: stored(place) for name, place in positions.items() if stored(place) in schema}
        return (
            frame.select(ROW_COLUMN, EXCESS_COLUMN, *kept.values(), **texts, **flaws)
            .filter(filled | pl.col(EXCESS_COLUMN).is_not_null())
            .with_columns(
                self._parsed_value(
                    column,
                    dtypes[column.name],
                    pl.col(kept[column.name]) if column.name in kept else None,
                )
                for column in self.table.columns
            )
            .with_columns(
                pl.coalesce(
                    *[pl.col(name)] * (name in flaws),
                    *(
                        pl.when(holds).then(reason)
                        for holds, reason in self._refusals(column, pl.col(text_column(column)))
                    ),
                ).alias(name)
                for column in self.table.columns
                for name in [reason_column(column)]
            )
        )

    def accept_rows(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Parse every cell, as `explain_rows` does, but without the texts and the reasons.

        The result has `ROW_COLUMN`, `ACCEPTED_COLUMN` and the table's columns, in any order. Nearly
        every row of a large text is in the usual spelling, and costs a sixth of an explained one.
        """
        schema = frame.collect_schema()
        cells = [cell_column(place) for place in self.positions.values()]
        if any(schema[cell] != pl.String for cell in cells) or _has_marked_cells(schema):
            return self._accept_carefully(frame)
        return frame.select(ROW_COLUMN, EXCESS_COLUMN, *cells).map_batches(
            self._accept_batch,
            schema={
                ROW_COLUMN: schema[ROW_COLUMN], ACCEPTED_COLUMN: pl.Boolean(), **self.table.schema
            },
            streamable=True,
        )  # fmt: skip

    def _accept_batch(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Accept rows in the usual spelling at once, and parse the others carefully."""
        texts = {
            column.name: pl.col(cell_column(self.positions[column.name]))
            if column.name in self.positions
            else pl.lit(None, pl.String)
            for column in self.table.columns
        }
        faults = [
            holds
            for column in self.table.columns
            for holds, _ in self._refusals(column, texts[column.name])
        ]
        filled = pl.any_horizontal(text.is_not_null() for text in texts.values())
        usual = (
            filled
            & pl.col(EXCESS_COLUMN).is_null()
            & ~pl.any_horizontal(faults).fill_null(value=False)
        )
        parsed = (
            batch.with_columns(
                _filled_value(
                    column,
                    texts[column.name],
                    plain_value(column, texts[column.name], self.notations[column.name]),
                )
                for column in self.table.columns
            )
            .with_columns(usual.alias(ACCEPTED_COLUMN))
            .select(ROW_COLUMN, ACCEPTED_COLUMN, *self.table.schema)
        )
        if parsed[ACCEPTED_COLUMN].all():
            return parsed
        rest = batch.filter(~parsed[ACCEPTED_COLUMN]).lazy()
        return pl.concat([parsed.filter(ACCEPTED_COLUMN), self._accept_carefully(rest).collect()])

    def _accept_carefully(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        return self.explain_rows(frame).select(
            ROW_COLUMN, is_accepted(self.table).alias(ACCEPTED_COLUMN), *self.table.schema
        )

    def _parsed_value(self, column: Column, dtype: pl.DataType, kept: pl.Expr | None) -> pl.Expr:
        text = pl.col(text_column(column))
        value = cell_value(column, text, dtype, self.notations[column.name], kept)
        return _filled_value(column, text, value)

    def _refusals(self, column: Column, text: pl.Expr) -> Iterator[tuple[pl.Expr, pl.Expr]]:
        """Yield when a cell of ``column`` is rejected, and why; the first that holds counts.

        ``text`` is the cell's; its value is under the column's name.
        """
        value = pl.col(column.name)
        misread = misread_reason(column, text, self.notations[column.name])
        yield text.is_not_null() & value.is_null(), misread
        if column.required:
            yield value.is_null(), pl.lit(self.empty)
        if column.minimum is not None:
            bound = f"es menor que el mínimo, {_bound_text(column.minimum, column.unit)}: corríjalo"
            if column.name == self.table.summable and column.minimum == 0:
                bound = f"{bound}, o si es una devolución importe con --sumar"
            yield value < column.minimum, pl.lit(bound)
        if column.maximum is not None:
            bound = f"es mayor que el máximo, {_bound_text(column.maximum, column.unit)}: corríjalo"
            yield value > column.maximum, pl.lit(bound)
        if column.kind is Kind.DATE:
            past = f"es anterior a {_EARLIEST_DATE.isoformat()}: corríjala"
            yield value < _EARLIEST_DATE, pl.lit(past)
            future = f"es una fecha en el futuro, hoy es {self.today.isoformat()}: corríjala"
            yield value > self.today, pl.lit(future)
        if (known := self.known.get(column.name)) is not None:
            unknown = f"no está en la tabla {known.title}: corríjalo o importe antes {known.title}"
            yield ~value.is_in(known.ids.implode()), pl.lit(unknown)


def read_rules(
    table: Table,
    cells: RawCells,
    positions: Mapping[str, int],
    known: Mapping[str, KnownIds],
    today: dt.date,
) -> RowCheck:
    """Return the rules for the rows of ``cells``, whose notations are found out here."""
    notations, notices = find_notations(table, cells, positions, today)
    empty = _MERGED_EMPTY_REASON if cells.merged else _EMPTY_REASON
    return RowCheck(table, positions, known, today, notations, empty, notices)


def check_rows(table: Table, cells: RawCells, positions: Mapping[str, int]) -> pl.LazyFrame:
    """Parse and check ``cells`` as `RowCheck.explain_rows` does, but not ids nor future dates."""
    return read_rules(table, cells, positions, {}, dt.date.max).explain_rows(cells.frame)


def _cell_texts(
    table: Table, schema: pl.Schema, positions: Mapping[str, int]
) -> tuple[dict[str, pl.DataType], dict[str, pl.Expr]]:
    """Return the type of each column in the file, and its texts by `text_column`.

    A column that the file does not have is a text without any cell.
    """
    dtypes: dict[str, pl.DataType] = {}
    texts: dict[str, pl.Expr] = {}
    for column in table.columns:
        dtype: pl.DataType = pl.String()
        text = pl.lit(None, pl.String)
        if column.name in positions:
            cell = cell_column(positions[column.name])
            dtype = schema[cell]
            text = cell_text(pl.col(cell), dtype)
        dtypes[column.name], texts[text_column(column)] = dtype, text
    return dtypes, texts


def _has_marked_cells(schema: pl.Schema) -> bool:
    """Return whether the reader of the file says more of some cells than their text."""
    places = range(len(schema))
    return any(flaw_column(place) in schema or stored(place) in schema for place in places)


def _reader_flaws(
    table: Table, schema: pl.Schema, positions: Mapping[str, int]
) -> dict[str, pl.Expr]:
    """Return, by `reason_column`, the flaws that the reader of the file found in cells."""
    names = {
        column: flaw_column(positions[column.name])
        for column in table.columns
        if column.name in positions
    }
    return {reason_column(column): pl.col(name) for column, name in names.items() if name in schema}


def _filled_value(column: Column, text: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Return the value of a cell, the column's default where the cell is empty."""
    if column.default is not None:
        value = pl.when(text.is_null()).then(pl.lit(column.default, column.dtype)).otherwise(value)
    return value.cast(column.dtype).alias(column.name)


def _bound_text(amount: float, unit: str) -> str:
    """Return a bound with its unit, such as 1 pieza or 10000000 piezas."""
    one = unit.replace("piezas", "pieza") if amount == 1 else unit
    return f"{amount:.15g} {one}".strip()
