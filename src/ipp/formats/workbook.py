"""Read people's current workbook, apply the factor step, and add the columns of every rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Column, normalise_label
from ipp.core.parameters import Parameters
from ipp.core.traditional.factor import FactorStep, apply_factor_step, target_investment
from ipp.core.workbook_columns import RULE_COLUMNS, SOURCE_TABLE, STOCK_COLUMNS
from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.intake.file_reader import (
    ROW_COLUMN,
    cell_column,
    read_cells,
    translate_read_errors,
)
from ipp.formats.intake.rejection import raise_refused_cells
from ipp.formats.intake.row_check import check_rows, match_headings, missing_columns_error
from ipp.storage.files.scratch import Scratch

_OPTIONAL_COLUMNS: Final = {
    "description", "ean", "sales_90d", "sales_365d", "recent_90d", "recent_365d", "inner_pack"
}  # fmt: skip
"""Columns of `SOURCE_TABLE` that a workbook may lack: those that no rule needs."""

_SALES_VALUE: Final = "counter_sales_value"
_PACK_OUTCOME: Final = "sub empaque"
_PACK_APPLIED: Final = "sub empaque aplicado"
"""A workbook that went through the factor step has this column and `_PACK_OUTCOME`.

There `_PACK_OUTCOME` is the quantity after the rule; the pack itself has any other spelling
(Sub Empaque).
"""

_NUMBER_PATTERN: Final = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?$"
"""A text that converts to a number without loss: no leading zero, at most 15 integer digits."""


@dataclass(frozen=True, slots=True)
class Workbook:
    """The rows of a workbook, both raw (``cells``) and parsed for the model (``products``).

    Both have the same rows in the same order. ``headings`` are those of ``cells``, whose columns
    are named by `ipp.formats.intake.file_reader.cell_column`. ``notices`` tell what of the file a
    person who looks at it may not see.
    """

    headings: tuple[str, ...]
    cells: pl.DataFrame
    products: pl.DataFrame
    notices: tuple[str, ...] = ()

    def add_rule_columns(
        self, steps: Mapping[int, FactorStep]
    ) -> tuple[pl.DataFrame, dict[str, str]]:
        """Return the raw rows with a column for every rule, and the headings by column, in order.

        A column that the workbook already has under a rule's heading keeps its place and gets the
        new values.
        """
        ruled = pl.concat(step.frame for step in steps.values()).sort(ROW_COLUMN)
        headings = _distinct_headings(self.headings)
        columns = {}
        for column in _ANSWER_COLUMNS:
            name = _rule_column_position(column, self.headings) or column.name
            columns[name] = ruled[column.name].cast(column.dtype)
            headings[name] = column.label
        return self.cells.with_columns(**columns), headings


def _distinct_headings(headings: tuple[str, ...]) -> dict[str, str]:
    """Return the headings by column; an empty or repeated one gets its position as a number."""
    distinct: dict[str, str] = {}
    for position, heading in enumerate(headings):
        name = heading.strip() or f"Columna {position + 1}"
        distinct[cell_column(position)] = (
            f"{name} ({position + 1})" if name in distinct.values() else name
        )
    return distinct


def _rule_column_position(column: Column, headings: tuple[str, ...]) -> str | None:
    """Return the column of the workbook under a rule's heading; None where there is none."""
    for position, heading in enumerate(headings):
        if column.label == _PACK_OUTCOME:
            # Any other spelling is the pack itself, which must not be overwritten.
            same = heading.strip() == _PACK_OUTCOME
        else:
            same = normalise_label(heading) == normalise_label(column.label)
        if same:
            return cell_column(position)
    return None


_ANSWER_COLUMNS: Final[Sequence[Column]] = (*RULE_COLUMNS, *STOCK_COLUMNS)


def read_workbook(file: Path, scratch: Scratch, *, with_sales_value: bool) -> Workbook:
    """Read a workbook from xlsx, csv or Parquet.

    With ``with_sales_value`` the column Monto Venta Mostrador is required. Raises
    `UnreadableFileError`, `MissingColumnError`, and `InvalidInputError` for rejected cells or a
    repeated product.
    """
    with scratch.temporary_folder() as folder:
        cells = read_cells(file, folder, SOURCE_TABLE.columns)
        positions = match_headings(
            SOURCE_TABLE, file, _input_headings(cells.headings), sheet=cells.sheet
        )
        needed = [
            c for c in SOURCE_TABLE.columns if c.name not in _OPTIONAL_COLUMNS | {_SALES_VALUE}
        ]
        if with_sales_value:
            needed.append(SOURCE_TABLE.by_name[_SALES_VALUE])
        if missing := [column for column in needed if column.name not in positions]:
            raise missing_columns_error(missing, file, cells.headings, sheet=cells.sheet)
        with translate_read_errors(file):
            rows = check_rows(SOURCE_TABLE, cells, positions)
            raise_refused_cells(SOURCE_TABLE, file, rows)
            products = _coalesce_sales(
                rows.select(ROW_COLUMN, *(c.name for c in SOURCE_TABLE.columns)).collect()
            )
            original = cells.frame.collect()
    _reject_products(file, products)
    kept = original.filter(pl.col(ROW_COLUMN).is_in(products[ROW_COLUMN].implode())).drop(
        ROW_COLUMN
    )
    columns = [cell_column(position) for position in range(len(cells.headings))]
    return Workbook(cells.headings, _restore_types(kept.select(columns)), products, cells.notices)


def apply_factor(workbook: Workbook, parameters: Parameters) -> dict[int, FactorStep]:
    """Run the factor step on each mostrador of the workbook, in the order they first appear.

    Raises `InvalidInputError` for a mostrador whose target is unknown or ambiguous.
    """
    steps = {}
    for (mostrador,), frame in workbook.products.partition_by("mostrador", as_dict=True).items():
        values = frame[_SALES_VALUE].drop_nulls().unique()
        searched = parameters.target_investment is None and parameters.forced_factor is None
        if len(values) > 1 and searched:
            raise InvalidInputError(
                f"El mostrador {mostrador} tiene {len(values)} valores de Monto Venta Mostrador.",
                hint="Deje uno solo, o indique --monto.",
            )
        value = float(values[0]) if len(values) == 1 else None
        target = target_investment(parameters, configured=None, counter_sales_value=value)
        if target is None and searched:
            raise InvalidInputError(
                f"El mostrador {mostrador} no trae Monto Venta Mostrador.",
                hint="Escríbalo, o indique --monto.",
            )
        steps[int(str(mostrador))] = apply_factor_step(frame, parameters, target)
    return steps


def _input_headings(headings: tuple[str, ...]) -> tuple[str, ...]:
    """Return the headings with `_PACK_OUTCOME` blanked where it is an outcome and not an input."""
    labels = [normalise_label(heading) for heading in headings]
    has_outcome = (
        normalise_label(_PACK_APPLIED) in labels or labels.count(normalise_label(_PACK_OUTCOME)) > 1
    )
    return tuple(
        "" if has_outcome and heading.strip() == _PACK_OUTCOME else heading for heading in headings
    )


def _reject_products(file: Path, products: pl.DataFrame) -> None:
    if products.is_empty():
        raise UnreadableFileError(
            f"{file.name} sólo tiene encabezados.", hint="Ponga al menos un producto debajo."
        )
    repeated = products.filter(pl.struct(SOURCE_TABLE.key).is_duplicated())
    if len(repeated):
        first = repeated.row(0, named=True)
        raise InvalidInputError(
            f"{file.name} tiene el producto {first['material']} "
            f"del mostrador {first['mostrador']} más de una vez.",
            hint="Deje un solo renglón de cada producto por mostrador.",
        )


def _coalesce_sales(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` with the sales of rules P and Q: DataBrick, else Venta Neta, else 0.

    Negative net sales (more returned than sold) count as no demand.
    """
    return rows.with_columns(
        sales_90d=pl.coalesce("recent_90d", "sales_90d", pl.lit(0.0)).clip(0),
        sales_365d=pl.coalesce("recent_365d", "sales_365d", pl.lit(0.0)).clip(0),
    )


def _restore_types(cells: pl.DataFrame) -> pl.DataFrame:
    """Convert the text columns that hold only numbers, or only true and false, to those types.

    A workbook written from them then has number and boolean cells again.
    """
    texts = [name for name, dtype in cells.schema.items() if dtype == pl.String]
    # Nulls count for neither, so a column without a filled cell would be of every type.
    filled = [name for name in texts if cells[name].null_count() < len(cells)]
    numbers = _columns_where(cells, filled, lambda text: text.str.contains(_NUMBER_PATTERN).all())
    decimal = _columns_where(
        cells, numbers, lambda text: text.str.contains(".", literal=True).any()
    )
    rest = [name for name in filled if name not in numbers]
    flags = _columns_where(cells, rest, lambda text: text.is_in(["true", "false"]).all())
    return cells.with_columns(
        pl.col(decimal).cast(pl.Float64),
        pl.col([name for name in numbers if name not in decimal]).cast(pl.Int64),
        pl.col(flags) == "true",
    )


def _columns_where(
    cells: pl.DataFrame, names: Sequence[str], condition: Callable[[pl.Expr], pl.Expr]
) -> list[str]:
    """Return the columns for which ``condition`` is true."""
    holds = cells.select(condition(pl.col(name)) for name in names)
    return [name for name in names if holds[name].item()]
