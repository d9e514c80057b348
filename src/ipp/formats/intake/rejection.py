"""The list of rejected cells and rows, from which people correct their file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.errors import InvalidInputError, shorten
from ipp.formats.intake.raw_cell import EXCESS_COLUMN, ROW_COLUMN
from ipp.formats.intake.row_check import excess_reason, is_accepted, reason_column, text_column
from ipp.formats.spreadsheet import FORMULA_PATTERN, escape_formula

ROW_LABEL: Final = "fila"

_SHOWN_EXAMPLES: Final = 3
"""Rejected cells that a message shows."""

_ESCAPED_FORMULA_PATTERN: Final = f"^'({FORMULA_PATTERN.removeprefix('^')})"
"""A value that `escape_formula` prefixed with an apostrophe."""


def list_refused_cells(table: Table, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return one record for each rejected cell of the rows of `check_rows`, in file order."""
    records = [
        _cell_record(column.label, pl.col(text_column(column)), pl.col(reason_column(column)))
        for column in table.columns
    ]
    records.append(_cell_record("", pl.col(EXCESS_COLUMN), excess_reason()))
    return (
        rows.filter(~is_accepted(table))
        .select(
            pl.col(ROW_COLUMN).alias(ROW_LABEL),
            pl.concat_list(records).list.drop_nulls().alias("#record"),
        )
        .explode("#record")
        .unnest("#record")
    )


def _cell_record(label: str, value: pl.Expr, reason: pl.Expr) -> pl.Expr:
    record = pl.struct(
        pl.lit(label, pl.String).alias("columna"),
        value.fill_null("").alias("valor"),
        reason.alias("motivo"),
    )
    return pl.when(reason.is_not_null()).then(record)


def list_repeated_rows(table: Table, repeated: Sequence[pl.DataFrame]) -> pl.LazyFrame:
    """Return one record for each row that repeats a key, in file order.

    ``repeated`` has the key, `ROW_COLUMN` and ``first``, the number of the first row with that key.
    """
    schema = {
        ROW_COLUMN: pl.UInt32(),
        **{name: table.schema[name] for name in table.key},
        "first": pl.UInt32(),
    }
    parts = [rows.select(*schema) for rows in repeated]
    frame = pl.concat([pl.DataFrame(schema=schema), *parts]).sort(ROW_COLUMN)
    return frame.lazy().select(
        pl.col(ROW_COLUMN).alias(ROW_LABEL),
        pl.lit(", ".join(table.labels[name] for name in table.key)).alias("columna"),
        pl.concat_str([pl.col(name).cast(pl.String) for name in table.key], separator=", ").alias(
            "valor"
        ),
        pl.format(
            "repite la clave de la fila {}: deje una sola de las dos"
            + (", o importe con --sumar si son ventas distintas" if table.summable else ""),
            pl.col("first"),
        ).alias("motivo"),
    )


def write_rejections(path: Path, cells: pl.LazyFrame, repeated: pl.LazyFrame) -> None:
    """Write both kinds of records to ``path`` as a CSV that Excel opens, ordered by file row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = cells.merge_sorted(repeated, key=ROW_LABEL, maintain_order=True).with_columns(
        escape_formula(pl.col("valor"))
    )
    records.sink_csv(path, include_bom=True)


def describe_first_rejections(path: Path, count: int) -> list[str]:
    """Return the first ``count`` records of a list as sentences, and one with how many more."""
    shown, more = read_rejections(path, count)
    return [*describe_cells(shown), *([f"… y {more:,} más"] if more > 0 else [])]


def read_rejections(path: Path, count: int) -> tuple[pl.DataFrame, int]:
    """Return the first ``count`` records of a list, unescaped, and how many more there are."""
    records = pl.scan_csv(path, infer_schema=False, glob=False)
    shown = (
        records.head(count)
        .with_columns(pl.col("valor").str.replace(_ESCAPED_FORMULA_PATTERN, "$1"))
        .collect()
    )
    return shown, int(records.select(pl.len()).collect(engine="streaming").item()) - shown.height


def describe_cells(records: pl.DataFrame) -> list[str]:
    """Return each record of `list_refused_cells` as a sentence."""
    return [_cell_sentence(*record) for record in records.iter_rows()]


def raise_refused_cells(table: Table, file: Path, rows: pl.LazyFrame) -> None:
    """Raise `InvalidInputError` with the first rejected cells of `check_rows`, if there are any."""
    refused = list_refused_cells(table, rows).collect()
    if len(refused):
        examples = "; ".join(describe_cells(refused.head(_SHOWN_EXAMPLES)))
        raise InvalidInputError(
            f"En {file.name} no sirven {len(refused):,} celdas: {examples}."
            if len(refused) > 1
            else f"En {file.name} no sirve una celda: {examples}.",
            hint="Corríjalas y repita.",
        )


def _cell_sentence(line: object, column: str, value: str, reason: str) -> str:
    value = shorten(value)
    if not column:
        return f"fila {line}: sobra «{value}»; {reason}"
    if not value:
        return f"fila {line}, {column}: {reason}"
    return f"fila {line}, {column} «{value}» {reason}"
