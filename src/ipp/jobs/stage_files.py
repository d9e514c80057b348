"""What the stages of a job left of a counter, while the job's files last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import polars as pl

from ipp.core import money
from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE_MODEL
from ipp.core.traditional import rounding
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.errors import NotFoundError
from ipp.storage.files.file_store import FileStore

MAX_PARTS: Final = 8
"""Parts of a job among which a mostrador is looked for: each is fetched and read as a whole."""


def read_processed_rows(files: FileStore, job_id: str, mostrador: int) -> pl.LazyFrame | None:
    """Return the rows that the factor stage left of a mostrador; None if they are gone.

    On one machine a mostrador has a file of its own. Spark leaves parts with many of them, of which
    those of a job with more than `MAX_PARTS` are not read.
    """
    folder = f"ipp-processed/{job_id}"
    try:
        paths = [files.local_path(f"{folder}/{mostrador}.parquet")]
    except NotFoundError:
        keys = files.list_keys(f"{folder}/partes/")
        parts = [*islice((key for key in keys if key.endswith(".parquet")), MAX_PARTS + 1)]
        if not 0 < len(parts) <= MAX_PARTS:
            return None
        paths = [files.local_path(key) for key in parts]
    rows = pl.scan_parquet(paths, glob=False).filter(pl.col("mostrador") == mostrador)
    return PROCESSED_TABLE.conform_rows(rows)


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
