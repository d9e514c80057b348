"""Job 2: fit each mostrador to its budget and publish the job's rows in one commit."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.publication import publish
from ipp.core.tables import CURVES, RESULTS
from ipp.core.workbook import PROCESSED
from ipp.request import JobSpec
from ipp.runners.base import Kept, Runner
from ipp.runners.work import Work


def publish_job(spec: JobSpec, runner: Runner, work: Work) -> None:
    """Replace the job's rows of ``ipp_resultados_finales``; until the commit nothing of it is seen.

    Which mostradores failed, and the curves of the predictive model's, are there before.
    """
    kernel = Publisher(spec.job_id, spec.cutoff, spec.parameters)
    runner.publish(Kept(PROCESSED, spec.processed("")), kernel, (CURVES, RESULTS), work)


@dataclass(frozen=True, slots=True)
class Publisher:
    """The kernel of one mostrador: from its processed rows to its curve and its results."""

    job_id: str
    cutoff: dt.date
    parameters: Parameters

    def __call__(self, processed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of `ipp.core.tables.CURVES`, none for the traditional model, and of `ipp.core.tables.RESULTS`."""
        found = publish(processed.sort("material"), self.parameters)
        mine = pl.lit(self.job_id).alias("job_id")
        curve = pl.DataFrame(schema=CURVES.schema) if found.curve is None else found.curve.with_columns(mine)
        return curve, found.rows.with_columns(mine, cutoff=pl.lit(self.cutoff))
