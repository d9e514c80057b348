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
from ipp.intake.parsing import misread, text_of, value_of
from ipp.intake.reader import EXCESS, ROW, Cells, cell

_TOO_WIDE: Final = "la fila tiene más celdas que encabezados: ponga entre comillas lo que lleve el separador"


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


def match_headings(table: Table, file: Path, headings: tuple[str, ...]) -> Mapping[str, int]:
    """Give the position of each of the table's columns that the file brings.

    Raises `InvalidInputError` where two headings mean one column, `MissingColumnError` where a column that
    must be filled has none.
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
        raise missing_columns(missing, file, headings)
    return found


def missing_columns(missing: Sequence[Column], file: Path, headings: tuple[str, ...]) -> MissingColumnError:
    """The error that says which columns a file lacks, and what it has instead."""
    labels = ", ".join(f"«{column.label}»" for column in missing)
    have = ", ".join(f"«{heading.strip()}»" for heading in headings if heading.strip())
    spellings = "; ".join(
        f"{column.label} se acepta también como {' o '.join(column.aliases)}" for column in missing if column.aliases
    )
    return MissingColumnError(
        f"A {file.name} le falta {labels}. Encabezados encontrados: {have}.",
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
    return (
        cells.frame.select(ROW, EXCESS, **texts)
        .filter(filled | pl.col(EXCESS).is_not_null())
        .with_columns(_value(column, dtypes[column.name], comma=cells.comma) for column in table.columns)
        .with_columns(
            pl.coalesce(_reasons(column, known.get(column.name), today, comma=cells.comma)).alias(reason_name(column))
            for column in table.columns
        )
    )


def _value(column: Column, dtype: pl.DataType, *, comma: bool) -> pl.Expr:
    text = pl.col(text_name(column))
    value = value_of(column, text, dtype, comma=comma)
    if column.default is not None:
        value = pl.when(text.is_null()).then(pl.lit(column.default, column.dtype)).otherwise(value)
    return value.cast(column.dtype).alias(column.name)


def _reasons(column: Column, known: Known | None, today: dt.date, *, comma: bool) -> Iterator[pl.Expr]:
    """Every reason why a cell of ``column`` may be refused, the first that holds counts."""
    text, value = pl.col(text_name(column)), pl.col(column.name)
    unit = f" {column.unit}" if column.unit else ""
    yield pl.when(text.is_not_null() & value.is_null()).then(misread(column, text, comma=comma))
    if column.required:
        yield pl.when(value.is_null()).then(pl.lit("está vacía: escriba un valor"))
    if column.minimum is not None:
        bound = f"es menor que el mínimo, {column.minimum:.15g}{unit}: corríjalo"
        yield pl.when(value < column.minimum).then(pl.lit(bound))
    if column.maximum is not None:
        bound = f"es mayor que el máximo, {column.maximum:.15g}{unit}: corríjalo"
        yield pl.when(value > column.maximum).then(pl.lit(bound))
    if column.kind is Kind.DATE:
        future = f"es una fecha en el futuro, hoy es {today.isoformat()}: corríjala"
        yield pl.when(value > today).then(pl.lit(future))
    if known is not None:
        unknown = f"no está en la tabla {known.title}: corríjalo o importe antes {known.title}"
        yield pl.when(~value.is_in(known.ids.implode())).then(pl.lit(unknown))
