"""The factor step (PROCESSING): one rounding factor a mostrador, and every rule's column.

A mostrador of the predictive model has no factor: its rows pass with their target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE
from ipp.core.traditional.factor import factor_step, target_investment
from ipp.core.workbook_columns import PROCESSED, RAW
from ipp.formats.spreadsheet import csv_body, write_csv_parts
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Kept, Runner
from ipp.pipeline.runners.stage_run import Work


def round_job(spec: JobSpec, runner: Runner, work: Work) -> None:
    """Leave each mostrador's rows, and the csv of all, under ``ipp-processed/{job_id}/``."""
    raw, processed = Kept(RAW, spec.raw("")), Kept(PROCESSED, spec.processed(""))
    lines = partial(csv_body, headings=PROCESSED.labels)
    bodies = runner.keep(raw, Rounder(spec.parameters), processed, work, lines)
    with runner.files.writing(spec.processed("processed_data.csv")) as path:
        write_csv_parts(path, PROCESSED.labels, bodies)


@dataclass(frozen=True, slots=True)
class Rounder:
    """The kernel of one mostrador: from the rows of Job 1 to those with every rule's column."""

    parameters: Parameters

    def __call__(self, raw: pl.DataFrame) -> pl.DataFrame:
        """The mostrador's rows, in order of material."""
        raw = raw.sort("material")
        target = target_investment(
            self.parameters,
            configured=raw["configured_target"][0],
            counter_sales_value=raw["counter_sales_value"][0],
        )
        if raw["inventory_model"][0] == PREDICTIVE:  # no rule rounds a distribution: the budget decides
            return raw.with_columns(target_investment=pl.lit(target))
        included = raw.with_columns(included=pl.col("exclusion_group").is_null())
        return factor_step(included, self.parameters, target).frame
