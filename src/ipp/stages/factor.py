"""The factor step (PROCESSING): one rounding factor a mostrador, and every rule's column.

A mostrador of the predictive model has no factor: its rows pass with their target.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ipp.core.factor import factor_step, target_investment
from ipp.core.parameters import Parameters
from ipp.core.tables import PREDICTIVE
from ipp.core.workbook import PROCESSED, RAW
from ipp.request import JobSpec
from ipp.runners.base import Kept, Progress, Runner
from ipp.spreadsheet import write_csv


def round_job(spec: JobSpec, runner: Runner, progress: Progress) -> None:
    """Leave each mostrador's rows, and the csv of all, under ``ipp-processed/{job_id}/``."""
    raw = Kept(RAW, spec.raw(""), spec.mostradores)
    processed = Kept(PROCESSED, spec.processed(""), spec.mostradores)
    frames = runner.keep(raw, Rounder(spec.parameters), processed, progress)
    with runner.files.writing(spec.processed("processed_data.csv")) as path:
        write_csv(path, frames, PROCESSED.labels)


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
