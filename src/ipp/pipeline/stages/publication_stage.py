"""Job 2: fit each counter to its budget and publish the job's rows in one commit."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import polars as pl

from ipp.core.decision.notice import Evidence, find_notices
from ipp.core.decision.publication import publish_counters
from ipp.core.parameters import Parameters
from ipp.core.tables import CURVES, NOTICES, PROCESSES, PUBLISHED_RESULTS
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Runner, StoredRows
from ipp.pipeline.runners.stage_execution import StageExecution
from ipp.pipeline.stages.notice_evidence import gather_evidence


def run_publication_stage(spec: JobSpec, runner: Runner, work: StageExecution) -> None:
    """Replace the job's rows of ``ipp_resultados_finales`` in one commit.

    Failures, curves (predictive model) and notices are committed before, the job's row after.
    """
    evidence = gather_evidence(runner, spec.computed_counters, spec.cutoff)
    kernel = PublicationKernel(spec.job_id, evidence, spec.parameters)
    runner.publish_tables(
        StoredRows(PROCESSED_TABLE, spec.processed_key("")),
        kernel,
        (CURVES, NOTICES, PUBLISHED_RESULTS),
        work,
    )
    runner.replace_job(PROCESSES, describe_job(spec, dt.datetime.now(dt.UTC)), spec.job_id)


def describe_job(spec: JobSpec, published_at: dt.datetime) -> pl.DataFrame:
    """Return the `ipp.core.tables.PROCESSES` row, which outlives the job's item in the store."""
    row = {
        "job_id": spec.job_id,
        "owner": spec.user_info.get("sub"),
        "email": spec.user_info.get("email"),
        "username": spec.user_info.get("username"),
        "user_name": spec.user_info.get("name"),
        "mostradores": ",".join(map(str, spec.mostradores)),
        "parameters": json.dumps(spec.parameters.to_document()),
        "cutoff": spec.cutoff,
        "created_at": spec.created_at.isoformat(timespec="milliseconds"),
        "published_at": published_at.isoformat(timespec="milliseconds"),
        "normaliser_run": spec.run_ids.get("normalizador"),
        "publication_run": spec.run_ids.get("publicacion"),
    }
    return pl.DataFrame([row], schema=PROCESSES.schema)


@dataclass(frozen=True, slots=True)
class PublicationKernel:
    """Kernel of some counters: from processed rows to curves, notices and results."""

    job_id: str
    evidence: Evidence
    parameters: Parameters

    def __call__(self, processed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Return rows of `CURVES`, `NOTICES` and `PUBLISHED_RESULTS` (see `ipp.core.tables`).

        The traditional model has no rows of `CURVES`.
        """
        published = publish_counters(processed, self.parameters)
        job_id = pl.lit(self.job_id).alias("job_id")
        notice_rows = [
            (self.job_id, mostrador, notice)
            for mostrador, sentences in find_notices(processed, self.evidence).items()
            for notice in sentences
        ]
        return (
            published.curves.with_columns(job_id),
            pl.DataFrame(notice_rows, schema=NOTICES.schema, orient="row"),
            published.rows.with_columns(job_id, cutoff=pl.lit(self.evidence.cutoff)),
        )
