"""Job 2: fit each mostrador to its budget and publish the job's rows in one commit."""

from __future__ import annotations

import polars as pl

from ipp.core.publication import publish
from ipp.core.tables import CURVES, RESULTS
from ipp.core.workbook import PROCESSED
from ipp.request import JobSpec
from ipp.stages.job import Progress, Workspace


def publish_job(spec: JobSpec, workspace: Workspace, progress: Progress) -> None:
    """Replace the job's rows of ``ipp_resultados_finales``; until the commit nothing of it is seen.

    The curves of the predictive model's counters are there before.
    """
    curves = []
    with workspace.scratch.folder() as folder:
        for number, mostrador in enumerate(spec.mostradores):
            path = workspace.files.local(spec.processed(f"{mostrador}.parquet"))
            processed = PROCESSED.conform(pl.scan_parquet(path)).collect()  # an older version may have begun the job
            found = publish(processed, spec.parameters)
            rows = found.rows.with_columns(job_id=pl.lit(spec.job_id), cutoff=pl.lit(spec.cutoff))
            RESULTS.conform(rows.lazy()).collect().write_parquet(folder / f"{number:06}.parquet")
            if found.curve is not None:
                curves.append(found.curve.with_columns(job_id=pl.lit(spec.job_id)))
            progress(mostrador)
        if curves:
            workspace.lakehouse.replace_partitions(CURVES, pl.concat(curves).lazy(), [spec.job_id])
        workspace.lakehouse.replace_partitions(RESULTS, pl.scan_parquet(folder), [spec.job_id])
