"""The factor step (PROCESSING): one rounding factor per counter, and a column per rule.

A predictive-model counter has no factor: its rows only get their target investment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE_MODEL
from ipp.core.traditional.factor import apply_factor_step, target_investment
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE
from ipp.formats.spreadsheet import csv_body, write_csv_parts
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Runner, StoredRows
from ipp.pipeline.runners.stage_execution import StageExecution


def run_factor_stage(spec: JobSpec, runner: Runner, work: StageExecution) -> None:
    """Write each counter's rows, and one CSV of all, under ``ipp-processed/{job_id}/``."""
    raw, processed = (
        StoredRows(RAW_TABLE, spec.raw_key("")),
        StoredRows(PROCESSED_TABLE, spec.processed_key("")),
    )
    lines = partial(csv_body, headings=PROCESSED_TABLE.labels)
    bodies = runner.store_and_render(raw, FactorKernel(spec.parameters), processed, work, lines)
    with runner.files.write_object(spec.processed_key("processed_data.csv")) as path:
        write_csv_parts(path, PROCESSED_TABLE.labels, bodies)


@dataclass(frozen=True, slots=True)
class FactorKernel:
    """Kernel of one counter: add every rule's column to the rows of Job 1."""

    parameters: Parameters

    def __call__(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Return the counter's rows, sorted by material."""
        raw = raw.sort("material")
        target = target_investment(
            self.parameters,
            configured=raw["configured_target"][0],
            counter_sales_value=raw["counter_sales_value"][0],
        )
        # The predictive model optimises under the budget, so there is nothing to round.
        if raw["inventory_model"][0] == PREDICTIVE_MODEL:
            return raw.with_columns(target_investment=pl.lit(target))
        included = raw.with_columns(included=pl.col("exclusion_group").is_null())
        return apply_factor_step(included, self.parameters, target).frame
