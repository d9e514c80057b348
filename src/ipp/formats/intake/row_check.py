"""The rows of a file against a table's contract: what each cell means and why it is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind, Table, normalise_label
from ipp.errors import InvalidInputError, MissingColumnError
from ipp.formats.intake.cell_parser import Marks, is_unclear, misread, proves, text_of, value_of
from ipp.formats.intake.raw_cell import EXCESS, ROW, Cells, cell, flaw, stored

_TOO_WIDE: Final = "hay más celdas que encabezados (¿coma decimal sin comillas?)"

_EARLIEST: Final = dt.date(2000, 1, 1)
"""A day before it is a slip: no file is that old."""


@dataclass(frozen=True, slots=True)
class Known:
    """The ids that a column's values must be among, and the title of the table that has them."""

    title: str
    ids: pl.Series


def text_name(column: Column) -> str:
    """Column of `examine` with a cell as it was written."""
    return f"#texto:{column.name}"


def reason_name(column: Column) -> str:
    """Column of `examine` with why a cell is refused."""
    return f"#motivo:{column.name}"


def excess_reason() -> pl.Expr:
    """Say why a row with more cells than headings is refused; null where it has none to spare."""
    return pl.when(pl.col(EXCESS).is_not_null()).then(pl.lit(_TOO_WIDE))


def accepted(table: Table) -> pl.Expr:
    """True for the rows of `examine` in which nothing is refused."""
    return pl.all_horizontal(
        pl.col(EXCESS).is_null(), *(pl.col(reason_name(column)).is_null() for column in table.columns)
    )


def match_headings(table: Table, file: Path, headings: tuple[str, ...], *, sheet: str = "") -> Mapping[str, int]:
    """Give the position of each of the table's columns that the file brings.

    ``sheet`` is the sheet that was read, where there are several. Raises `InvalidInputError` where two headings
    mean one column, `MissingColumnError` where a column that must be filled has none.
    """
    found: dict[str, int] = {}
    for position, heading in enumerate(headings):
        label = normalise_label(heading)
        for column in table.columns:
            if label not in column.spellings:
                continue
            if column.name in found:
                twice = f"«{headings[found[column.name]]}» y «{heading}»"
                raise InvalidInputError(
                    f"En {file.name}, {twice} son la misma columna, {column.label}.",
                    hint="Deje sólo una de ellas.",
                )
            found[column.name] = position
    missing = [c for c in table.columns if c.required and c.default is None and c.name not in found]
    if missing:
        raise missing_columns(missing, file, headings, sheet=sheet)
    return found


def missing_columns(
    missing: Sequence[Column], file: Path, headings: tuple[str, ...], *, sheet: str = ""
) -> MissingColumnError:
    """The error that says which columns a file lacks, and what it has instead."""
    labels = ", ".join(f"«{column.label}»" for column in missing)
    have = ", ".join(f"«{heading.strip()}»" for heading in headings if heading.strip())
    spellings = "; ".join(
        f"{column.label} se acepta también como {' o '.join(column.aliases)}" for column in missing if column.aliases
    )
    return MissingColumnError(
        f"A {f'la hoja «{sheet}» de ' if sheet else ''}{file.name} le falta {labels}. Encabezados encontrados: {have}.",
        hint=f"Ponga ese encabezado en la primera fila{f' ({spellings})' if spellings else ''}.",
    )


def examine(
    table: Table, cells: Cells, positions: Mapping[str, int], known: Mapping[str, Known], today: dt.date
) -> pl.LazyFrame:
    """Read every cell and say of each whether it is refused; rows without any cell are left out.

    ``positions`` is of `match_headings`; ``known`` says for a column among which ids its values must be.
    Columns: `ROW`, `EXCESS`, and for each column its value under its name, `text_name` and `reason_name`.
    """
    schema = cells.frame.collect_schema()
    dtypes = {
        column.name: schema[cell(positions[column.name])] if column.name in positions else pl.String()
        for column in table.columns
    }
    texts = {
        text_name(column): text_of(pl.col(cell(positions[column.name])), dtypes[column.name])
        if column.name in positions
        else pl.lit(None, pl.String)
        for column in table.columns
    }
    filled = pl.any_horizontal(pl.col(name).is_not_null() for name in texts)
    marks, flaws = _marks(table, cells, positions), _flaws(table, schema, positions)
    empty = f"la celda está vacía{' (¿celdas combinadas?)' if cells.merged else ''}: escriba un valor"
    rules = {
        column.name: _reasons(column, known.get(column.name), today, marks[column.name], empty)
        for column in table.columns
    }
    kept = {name: stored(place) for name, place in positions.items() if stored(place) in schema}
    return (
        cells.frame.select(ROW, EXCESS, *kept.values(), **texts, **flaws)
        .filter(filled | pl.col(EXCESS).is_not_null())
        .with_columns(
            _value(
                column,
                dtypes[column.name],
                marks[column.name],
                pl.col(kept[column.name]) if column.name in kept else None,
            )
            for column in table.columns
        )
        .with_columns(
            pl.coalesce(*[pl.col(name)] * (name in flaws), *rules[column.name]).alias(name)
            for column in table.columns
            for name in [reason_name(column)]
        )
    )


def _flaws(table: Table, schema: pl.Schema, positions: Mapping[str, int]) -> dict[str, pl.Expr]:
    """Give, by `reason_name`, what the reader of the file itself has against cells."""
    names = {column: flaw(positions[column.name]) for column in table.columns if column.name in positions}
    return {reason_name(column): pl.col(name) for column, name in names.items() if name in schema}


def _marks(table: Table, cells: Cells, positions: Mapping[str, int]) -> dict[str, Marks]:
    """Say of each column how the numbers are written that people wrote in it: in one way throughout.

    A cell that can only be read one way proves it; a column that proves both ways proves none. There is only
    something to find out where a number is not clear by itself. Numbers that the file stores prove nothing.
    """
    marks = dict.fromkeys((column.name for column in table.columns), Marks.UNCLEAR if cells.comma else Marks.POINT)
    if cells.unmarked:
        return marks
    schema = cells.frame.collect_schema()
    unclear, comma, point = {}, {}, {}
    for column in table.columns:
        place = positions.get(column.name)
        if place is None or column.kind not in {Kind.NUMBER, Kind.COUNT} or schema[cell(place)].is_numeric():
            continue
        text = text_of(pl.col(cell(place)), schema[cell(place)])
        kept = pl.col(stored(place)) if stored(place) in schema else pl.lit(value=False)
        unclear[column.name] = is_unclear(text) & kept.ne_missing(other=True)
        comma[column.name] = proves(text, Marks.COMMA) & kept.eq_missing(other=False)
        point[column.name] = proves(text, Marks.POINT) & kept.eq_missing(other=False)
    names = [name for name, found in _any(cells.frame, unclear).items() if found]
    by_comma = _any(cells.frame, {name: comma[name] for name in names})
    by_point = _any(cells.frame, {name: point[name] for name in names})
    for name in names:
        proven = Marks.COMMA if by_comma[name] else Marks.POINT
        marks[name] = proven if by_comma[name] != by_point[name] else Marks.UNCLEAR
    return marks


def _any(frame: pl.LazyFrame, conditions: Mapping[str, pl.Expr]) -> dict[str, bool]:
    if not conditions:
        return {}
    return frame.select(**{n: c.any() for n, c in conditions.items()}).collect(engine="streaming").row(0, named=True)


def _value(column: Column, dtype: pl.DataType, marks: Marks, kept: pl.Expr | None) -> pl.Expr:
    text = pl.col(text_name(column))
    value = value_of(column, text, dtype, marks, kept)
    if column.default is not None:
        value = pl.when(text.is_null()).then(pl.lit(column.default, column.dtype)).otherwise(value)
    return value.cast(column.dtype).alias(column.name)


def _reasons(
    column: Column, known: Known | None, today: dt.date, marks: Marks, empty: str
) -> Iterator[pl.Expr]:  # fmt: skip
    """Every reason why a cell of ``column`` may be refused, the first that holds counts."""
    text, value = pl.col(text_name(column)), pl.col(column.name)
    yield pl.when(text.is_not_null() & value.is_null()).then(misread(column, text, marks))
    if column.required:
        yield pl.when(value.is_null()).then(pl.lit(empty))
    if column.minimum is not None:
        bound = f"es menor que el mínimo, {_measure(column.minimum, column.unit)}: corríjalo"
        yield pl.when(value < column.minimum).then(pl.lit(bound))
    if column.maximum is not None:
        bound = f"es mayor que el máximo, {_measure(column.maximum, column.unit)}: corríjalo"
        yield pl.when(value > column.maximum).then(pl.lit(bound))
    if column.kind is Kind.DATE:
        past = f"es anterior a {_EARLIEST.isoformat()}: corríjala"
        yield pl.when(value < _EARLIEST).then(pl.lit(past))
        future = f"es una fecha en el futuro, hoy es {today.isoformat()}: corríjala"
        yield pl.when(value > today).then(pl.lit(future))
    if known is not None:
        unknown = f"no está en la tabla {known.title}: corríjalo o importe antes {known.title}"
        yield pl.when(~value.is_in(known.ids.implode())).then(pl.lit(unknown))


def _measure(amount: float, unit: str) -> str:
    """A bound with its unit, 1 pieza or 10000000 piezas."""
    one = unit.replace("piezas", "pieza") if amount == 1 else unit
    return f"{amount:.15g} {one}".strip()
