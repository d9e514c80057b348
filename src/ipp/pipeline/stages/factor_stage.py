"""The factor step (PROCESSING): one rounding factor per counter, and a column per rule.

A predictive-model counter has no factor: its rows only get their target investment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from ipp.core.counter_rows import merge_counters, slice_counters, sort_counters
from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE_MODEL
from ipp.core.traditional.factor import apply_factor_steps, target_investment
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
    """Kernel of some counters: add every rule's column to the rows of Job 1."""

    parameters: Parameters

    def __call__(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Return the counters' rows, sorted by mostrador and material."""
        raw = sort_counters(raw)
        # The predictive model optimises under the budget, so there is nothing to round.
        predictive = pl.col("inventory_model").eq_missing(PREDICTIVE_MODEL)
        with_target = self._set_targets(raw.filter(predictive))
        return merge_counters([with_target, self._apply_rules(raw.filter(~predictive))])

    def _set_targets(self, raw: pl.DataFrame) -> pl.DataFrame:
        targets = self._target_investments(raw)
        column = pl.Series([target for _, target in targets], dtype=pl.Float64)
        index = np.repeat(np.arange(len(targets)), [rows.stop - rows.start for rows, _ in targets])
        return raw.with_columns(column.gather(index).alias("target_investment"))

    def _apply_rules(self, raw: pl.DataFrame) -> pl.DataFrame:
        if raw.is_empty():
            return raw
        included = raw.with_columns(included=pl.col("exclusion_group").is_null())
        return apply_factor_steps(included, self.parameters, self._target_investments(raw))

    def _target_investments(self, raw: pl.DataFrame) -> list[tuple[slice, float | None]]:
        """Return the rows of each counter, and its target investment, MXN."""
        return [
            (
                rows,
                target_investment(
                    self.parameters,
                    configured=raw["configured_target"][rows.start],
                    counter_sales_value=raw["counter_sales_value"][rows.start],
                ),
            )
            for rows in slice_counters(raw).values()
        ]
