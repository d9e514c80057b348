"""The factor step (PROCESSING): one rounding factor a mostrador, and every rule's column.

A mostrador of the predictive model has no factor: its rows pass with their target.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ipp.core.factor import factor_step, target_investment
from ipp.core.tables import PREDICTIVE
from ipp.core.workbook import PROCESSED
from ipp.request import JobSpec
from ipp.spreadsheet import write_csv
from ipp.stages.job import Progress, Workspace


def round_job(spec: JobSpec, workspace: Workspace, progress: Progress) -> None:
    """Write one Parquet a mostrador, and the csv of all, under ``ipp-processed/{job_id}/``."""
    with workspace.files.writing(spec.processed("processed_data.csv")) as path:
        write_csv(path, _processed(spec, workspace, progress), PROCESSED.labels)


def _processed(spec: JobSpec, workspace: Workspace, progress: Progress) -> Iterator[pl.DataFrame]:
    """Write one mostrador's Parquet after the other and hand on its rows; done when the next is asked for."""
    for mostrador in spec.mostradores:
        raw = pl.read_parquet(workspace.files.local(spec.raw(f"{mostrador}.parquet")))
        rows = PROCESSED.conform(_process(raw, spec).lazy()).collect()
        with workspace.files.writing(spec.processed(f"{mostrador}.parquet")) as path:
            rows.write_parquet(path)
        yield rows
        progress(mostrador)


def _process(raw: pl.DataFrame, spec: JobSpec) -> pl.DataFrame:
    target = target_investment(
        spec.parameters,
        configured=raw["configured_target"][0],
        counter_sales_value=raw["counter_sales_value"][0],
    )
    if raw["inventory_model"][0] == PREDICTIVE:  # no rule rounds a distribution: the budget decides
        return raw.with_columns(target_investment=pl.lit(target))
    included = raw.with_columns(included=pl.col("exclusion_group").is_null())
    return factor_step(included, spec.parameters, target).frame
