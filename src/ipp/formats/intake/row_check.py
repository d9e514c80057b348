"""Check the rows of a file against a table's contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind, Table, normalise_label
from ipp.errors import InvalidInputError, MissingColumnError
from ipp.formats.intake.cell_parser import (
    cell_text,
    cell_value,
    is_ambiguous,
    misread_reason,
    proves_mark,
)
from ipp.formats.intake.raw_cell import (
    EXCESS_COLUMN,
    ROW_COLUMN,
    RawCells,
    cell_column,
    flaw_column,
    stored,
)
from ipp.formats.written_number import DecimalMark

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
                both = f"«{headings[positions[column.name]]}» y «{heading}»"
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
    have = ", ".join(f"«{heading.strip()}»" for heading in headings if heading.strip())
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


def check_rows(
    table: Table,
    cells: RawCells,
    positions: Mapping[str, int],
    known: Mapping[str, KnownIds],
    today: dt.date,
) -> pl.LazyFrame:
    """Parse every cell and decide whether it is rejected; rows without any cell are dropped.

    ``positions`` comes from `match_headings`; ``known`` has, by column, the ids it may refer to.
    The result has `ROW_COLUMN`, `EXCESS_COLUMN` and, for each column of the table, its value under
    its own name, its `text_column` and its `reason_column`.
    """
    schema = cells.frame.collect_schema()
    dtypes, texts = _cell_texts(table, schema, positions)
    filled = pl.any_horizontal(pl.col(name).is_not_null() for name in texts)
    marks, flaws = _decimal_marks(table, cells, positions), _reader_flaws(table, schema, positions)
    empty = _MERGED_EMPTY_REASON if cells.merged else _EMPTY_REASON
    kept = {name: stored(place) for name, place in positions.items() if stored(place) in schema}
    return (
        cells.frame.select(ROW_COLUMN, EXCESS_COLUMN, *kept.values(), **texts, **flaws)
        .filter(filled | pl.col(EXCESS_COLUMN).is_not_null())
        .with_columns(
            _parsed_value(
                column,
                dtypes[column.name],
                marks[column.name],
                pl.col(kept[column.name]) if column.name in kept else None,
            )
            for column in table.columns
        )
        .with_columns(
            pl.coalesce(
                *[pl.col(name)] * (name in flaws),
                *_refusal_reasons(column, known.get(column.name), today, marks[column.name], empty),
            ).alias(name)
            for column in table.columns
            for name in [reason_column(column)]
        )
    )


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


def _decimal_marks(
    table: Table, cells: RawCells, positions: Mapping[str, int]
) -> dict[str, DecimalMark]:
    """Return the decimal mark of each column, assuming that its texts use one throughout.

    A cell that can only be read with one mark proves it; a column that proves both proves neither.
    Only columns with an ambiguous number are examined. Numbers that the file stores prove nothing.

    For example 1.234 beside 12,5 is 1234, beside 12.5 it is 1.234, and beside both it is unclear.
    """
    marks = dict.fromkeys((column.name for column in table.columns), DecimalMark.POINT)
    if cells.unmarked:
        return marks
    schema = cells.frame.collect_schema()
    ambiguous, comma, point = {}, {}, {}
    for column in table.columns:
        place = positions.get(column.name)
        if (
            place is None
            or column.kind not in {Kind.NUMBER, Kind.COUNT}
            or schema[cell_column(place)].is_numeric()
        ):
            continue
        text = cell_text(pl.col(cell_column(place)), schema[cell_column(place)])
        kept = pl.col(stored(place)) if stored(place) in schema else pl.lit(value=False)
        ambiguous[column.name] = is_ambiguous(text) & kept.ne_missing(other=True)
        comma[column.name] = proves_mark(text, DecimalMark.COMMA) & kept.eq_missing(other=False)
        point[column.name] = proves_mark(text, DecimalMark.POINT) & kept.eq_missing(other=False)
    names = [name for name, holds in _any_condition(cells.frame, ambiguous).items() if holds]
    by_comma = _any_condition(cells.frame, {name: comma[name] for name in names})
    by_point = _any_condition(cells.frame, {name: point[name] for name in names})
    for name in names:
        proven = DecimalMark.COMMA if by_comma[name] else DecimalMark.POINT
        marks[name] = proven if by_comma[name] != by_point[name] else DecimalMark.UNCLEAR
    return marks


def _any_condition(frame: pl.LazyFrame, conditions: Mapping[str, pl.Expr]) -> dict[str, bool]:
    if not conditions:
        return {}
    return (
        frame.select(**{n: c.any() for n, c in conditions.items()})
        .collect(engine="streaming")
        .row(0, named=True)
    )


def _parsed_value(
    column: Column, dtype: pl.DataType, marks: DecimalMark, kept: pl.Expr | None
) -> pl.Expr:
    text = pl.col(text_column(column))
    value = cell_value(column, text, dtype, marks, kept)
    if column.default is not None:
        value = pl.when(text.is_null()).then(pl.lit(column.default, column.dtype)).otherwise(value)
    return value.cast(column.dtype).alias(column.name)


def _refusal_reasons(
    column: Column, known: KnownIds | None, today: dt.date, marks: DecimalMark, empty: str
) -> Iterator[pl.Expr]:  # fmt: skip
    """Yield every reason why a cell of ``column`` may be rejected; the first that holds counts."""
    text, value = pl.col(text_column(column)), pl.col(column.name)
    yield pl.when(text.is_not_null() & value.is_null()).then(misread_reason(column, text, marks))
    if column.required:
        yield pl.when(value.is_null()).then(pl.lit(empty))
    if column.minimum is not None:
        bound = f"es menor que el mínimo, {_bound_text(column.minimum, column.unit)}: corríjalo"
        yield pl.when(value < column.minimum).then(pl.lit(bound))
    if column.maximum is not None:
        bound = f"es mayor que el máximo, {_bound_text(column.maximum, column.unit)}: corríjalo"
        yield pl.when(value > column.maximum).then(pl.lit(bound))
    if column.kind is Kind.DATE:
        past = f"es anterior a {_EARLIEST_DATE.isoformat()}: corríjala"
        yield pl.when(value < _EARLIEST_DATE).then(pl.lit(past))
        future = f"es una fecha en el futuro, hoy es {today.isoformat()}: corríjala"
        yield pl.when(value > today).then(pl.lit(future))
    if known is not None:
        unknown = f"no está en la tabla {known.title}: corríjalo o importe antes {known.title}"
        yield pl.when(~value.is_in(known.ids.implode())).then(pl.lit(unknown))


def _bound_text(amount: float, unit: str) -> str:
    """Return a bound with its unit, such as 1 pieza or 10000000 piezas."""
    one = unit.replace("piezas", "pieza") if amount == 1 else unit
    return f"{amount:.15g} {one}".strip()
