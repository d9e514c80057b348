"""Job 2: fit each mostrador to its budget and publish the job's rows in one commit."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import polars as pl

from ipp.core.decision.publication import notices, publish_counter
from ipp.core.parameters import Parameters
from ipp.core.tables import CURVES, NOTICES, PROCESSES, RESULTS
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Runner, StoredRows
from ipp.pipeline.runners.stage_run import StageRun


def run_publication_stage(spec: JobSpec, runner: Runner, work: StageRun) -> None:
    """Replace the job's rows of ``ipp_resultados_finales``; until the commit nothing of it is seen.

    Which mostradores failed, the curves of the predictive model's, and the notices are there before; whose job it
    is, after.
    """
    kernel = PublicationKernel(spec.job_id, spec.cutoff, spec.parameters)
    runner.publish_tables(
        StoredRows(PROCESSED_TABLE, spec.processed_key("")),
        kernel,
        (CURVES, NOTICES, RESULTS),
        work,
    )
    runner.replace_job(PROCESSES, describe_job(spec, dt.datetime.now(dt.UTC)), spec.job_id)


def describe_job(spec: JobSpec, published_at: dt.datetime) -> pl.DataFrame:
    """Return the row of `ipp.core.tables.PROCESSES` by which a job is known once its item is forgotten."""
    row = {
        "job_id": spec.job_id,
        "owner": spec.user_info.get("sub"),
        "email": spec.user_info.get("email"),
        "username": spec.user_info.get("username"),
        "user_name": spec.user_info.get("name"),
        "mostradores": ",".join(map(str, spec.mostradores)),
        "parameters": json.dumps(spec.parameters.to_labels()),
        "cutoff": spec.cutoff,
        "created_at": spec.created_at.isoformat(timespec="milliseconds"),
        "published_at": published_at.isoformat(timespec="milliseconds"),
        "normaliser_run": spec.run_ids.get("normalizador"),
        "publication_run": spec.run_ids.get("publicacion"),
    }
    return pl.DataFrame([row], schema=PROCESSES.schema)


@dataclass(frozen=True, slots=True)
class PublicationKernel:
    """The kernel of one mostrador: from its processed rows to its curve, its notices and its results."""

    job_id: str
    cutoff: dt.date
    parameters: Parameters

    def __call__(self, processed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Rows of `ipp.core.tables.CURVES`, none for the traditional model, of `NOTICES` and of `RESULTS`."""
        found = publish_counter(processed.sort("material"), self.parameters)
        mine = pl.lit(self.job_id).alias("job_id")
        curve = (
            pl.DataFrame(schema=CURVES.schema)
            if found.curve is None
            else found.curve.with_columns(mine)
        )
        told = [(self.job_id, processed["mostrador"][0], notice) for notice in notices(processed)]
        return (
            curve,
            pl.DataFrame(told, schema=NOTICES.schema, orient="row"),
            found.rows.with_columns(mine, cutoff=pl.lit(self.cutoff)),
        )
