"""Job 2: fit each mostrador to its budget and publish the job's rows in one commit."""

from __future__ import annotations

import polars as pl

from ipp.core.publication import publish
from ipp.core.tables import RESULTS
from ipp.stages.job import JobSpec, Progress, Workspace


def publish_job(spec: JobSpec, workspace: Workspace, progress: Progress) -> None:
    """Replace the job's rows of ``ipp_resultados_finales``; until the commit nothing of it is seen."""
    with workspace.scratch.folder() as folder:
        for number, mostrador in enumerate(spec.mostradores):
            processed = pl.read_parquet(workspace.files.local(spec.processed(f"{mostrador}.parquet")))
            rows = publish(processed, spec.parameters).with_columns(
                job_id=pl.lit(spec.job_id), cutoff=pl.lit(spec.cutoff)
            )
            RESULTS.conform(rows.lazy()).collect().write_parquet(folder / f"{number:06}.parquet")
            progress(mostrador)
        workspace.lakehouse.replace_partitions(RESULTS, pl.scan_parquet(folder), [spec.job_id])
