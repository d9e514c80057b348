"""What the stages of a job left of a counter, while the job's files last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ipp.core import money
from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE_MODEL
from ipp.core.traditional import rounding
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.errors import NotFoundError
from ipp.storage.files.file_store import FileStore


def read_processed_rows(files: FileStore, job_id: str, mostrador: int) -> pl.LazyFrame | None:
    """Return the rows that the factor stage left of a mostrador; None if they are gone."""
    try:
        path = files.local_path(f"ipp-processed/{job_id}/{mostrador}.parquet")
    except NotFoundError:
        return None
    return PROCESSED_TABLE.conform_rows(pl.scan_parquet(path))


def investment_by_factor(
    files: FileStore, job_id: str, mostrador: int, parameters: Parameters
) -> Sequence[Mapping[str, float]]:
    """Return the investment at each rounding factor, before the budget is fitted.

    It is empty for the predictive model, and once the files are gone.
    """
    frame = read_processed_rows(files, job_id, mostrador)
    rows = pl.DataFrame() if frame is None else frame.collect()
    if rows.is_empty() or rows["inventory_model"][0] == PREDICTIVE_MODEL:
        return []
    included = rows.with_columns(included=pl.col("exclusion_group").is_null())
    investments = rounding.investment_by_factor(rounding.prepare_products(included, parameters))
    pairs = zip(rounding.FACTOR_PERCENTS.tolist(), investments.tolist(), strict=True)
    return [
        {"factor": percent / 100, "investment": money.to_pesos(units)} for percent, units in pairs
    ]


def read_rule_history(files: FileStore, job_id: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a product's ``row`` with each rule's quantity, or forecast, of the stages' files.

    Without those files it is ``row`` alone.
    """
    frame = read_processed_rows(files, job_id, row["mostrador"])
    processed = (
        None if frame is None else frame.filter(pl.col("material") == row["material"]).collect()
    )
    if processed is None or processed.is_empty():
        return row
    # A product that the area never sold has no forecast: its Factor 9 is what was expected.
    left = processed.row(0, named=True) | {"forecast_mean": row["expected_demand"]}
    return left | {name: cell for name, cell in row.items() if cell is not None}
