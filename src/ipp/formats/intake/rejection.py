"""The list of what was refused, for people to correct their file by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.errors import InvalidInputError
from ipp.formats.intake.raw_cell import EXCESS, ROW
from ipp.formats.intake.row_check import accepted, excess_reason, reason_name, text_name
from ipp.formats.spreadsheet import harmless

LINE: Final = "fila"

_EXAMPLES: Final = 3
"""Refused cells that a message shows."""

_GUARD: Final = r"^'(\s*[=+\-@\t\r])"
"""A value that `harmless` put an apostrophe before."""


def refused_cells(table: Table, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Give one record for each refused cell of the rows of `examine`, in the order of the file."""
    records = [
        _record(column.label, pl.col(text_name(column)), pl.col(reason_name(column))) for column in table.columns
    ]
    records.append(_record("", pl.col(EXCESS), excess_reason()))
    return (
        rows.filter(~accepted(table))
        .select(pl.col(ROW).alias(LINE), pl.concat_list(records).list.drop_nulls().alias("#record"))
        .explode("#record")
        .unnest("#record")
    )


def _record(label: str, value: pl.Expr, reason: pl.Expr) -> pl.Expr:
    record = pl.struct(
        pl.lit(label, pl.String).alias("columna"), value.fill_null("").alias("valor"), reason.alias("motivo")
    )
    return pl.when(reason.is_not_null()).then(record)


def repeated_rows(table: Table, repeated: Sequence[pl.DataFrame]) -> pl.LazyFrame:
    """Give one record for each row that repeats a key, in the order of the file.

    ``repeated`` has the key, `ROW` and ``first``, the row that brought the key before.
    """
    schema = {ROW: pl.UInt32(), **{name: table.schema[name] for name in table.key}, "first": pl.UInt32()}
    frame = pl.concat([pl.DataFrame(schema=schema), *repeated]).sort(ROW)
    return frame.lazy().select(
        pl.col(ROW).alias(LINE),
        pl.lit(", ".join(table.labels[name] for name in table.key)).alias("columna"),
        pl.concat_str([pl.col(name).cast(pl.String) for name in table.key], separator=", ").alias("valor"),
        pl.format("repite la clave de la fila {}: deje una sola de las dos", pl.col("first")).alias("motivo"),
    )


def write_rejections(path: Path, cells: pl.LazyFrame, repeated: pl.LazyFrame) -> None:
    """Write both kinds of records to ``path``, as a CSV that Excel opens, by row of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = cells.merge_sorted(repeated, key=LINE, maintain_order=True).with_columns(harmless(pl.col("valor")))
    records.sink_csv(path, include_bom=True)


def first_rejections(path: Path, count: int) -> list[str]:
    """Say the first ``count`` records of a list in a sentence each, and how many more there are."""
    shown, more = read_rejections(path, count)
    return [*cell_sentences(shown), *([f"… y {more:,} más"] if more > 0 else [])]


def read_rejections(path: Path, count: int) -> tuple[pl.DataFrame, int]:
    """The first ``count`` records of a list, their values as they were given, and how many more there are."""
    records = pl.scan_csv(path, infer_schema=False, glob=False)
    shown = records.head(count).with_columns(pl.col("valor").str.replace(_GUARD, "$1")).collect()
    return shown, int(records.select(pl.len()).collect(engine="streaming").item()) - shown.height


def cell_sentences(records: pl.DataFrame) -> list[str]:
    """Say each record of `refused_cells` in a sentence."""
    return [_sentence(*record) for record in records.iter_rows()]


def refuse_cells(table: Table, file: Path, rows: pl.LazyFrame) -> None:
    """Raise `InvalidInputError` with the first cells that are refused of the rows of `examine`, if any is."""
    refused = refused_cells(table, rows).collect()
    if len(refused):
        examples = "; ".join(cell_sentences(refused.head(_EXAMPLES)))
        raise InvalidInputError(
            f"En {file.name} no sirven {len(refused):,} celdas: {examples}."
            if len(refused) > 1
            else f"En {file.name} no sirve una celda: {examples}.",
            hint="Corríjalas y repita.",
        )


def _sentence(line: object, column: str, value: str, reason: str) -> str:
    if not column:
        return f"fila {line}: sobra «{value}»; {reason}"
    if not value:
        return f"fila {line}, {column}: {reason}"
    return f"fila {line}, {column} «{value}» {reason}"
