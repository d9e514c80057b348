"""What a job published as files that lie ready, where nobody computes when they are asked for."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.tables import RESULTS
from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.formats.exports.export import Export, ExportFormat, TooLongError
from ipp.formats.exports.table_export import write_export
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import StoredRows
from ipp.pipeline.runners.spark_runner import FILES_SCHEMA, SparkRunner

CONCURRENT_UPLOADS: Final = 16
"""Files that are put in their place at a time: each waits for the network and for nothing else."""

BATCH_FILES: Final = 64
"""Files that are in memory at a time."""


def precompute_exports(spec: JobSpec, runner: SparkRunner) -> None:
    """Lay out every file that can be asked for of a published job, of one mostrador and of all.

    Those of one are made where its rows are, those of all here, one after the other. A workbook of all is left out
    where a sheet cannot hold it.
    """
    source = StoredRows(PROCESSED_TABLE, spec.processed_key(""))
    rows = runner.read_published(source, RESULTS)
    with runner.scratch.temporary_folder() as folder:
        for export in _export_formats(spec, spec.mostradores, whole=True):
            try:
                path = write_export(export, rows, folder)
            except TooLongError:
                continue
            with runner.files.write_object(export.object_key) as target:
                path.rename(target)
    made = runner.render_files(source, RESULTS, ExportKernel(spec), len(spec.mostradores))
    with ThreadPoolExecutor(CONCURRENT_UPLOADS) as pool:
        while some := list(islice(made, BATCH_FILES)):
            deque(pool.map(partial(_upload_file, runner), some), maxlen=0)


def _upload_file(runner: SparkRunner, made: tuple[str, bytes]) -> None:
    key, content = made
    with runner.files.write_object(key) as target:
        target.write_bytes(content)


@dataclass(frozen=True, slots=True)
class ExportKernel:
    """The kernel of one mostrador: from its published rows to the files of them, each by its key."""

    spec: JobSpec

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """A row for each file."""
        mostrador = int(rows["mostrador"][0])
        with tempfile.TemporaryDirectory(prefix="ipp-") as folder:
            made = [
                (export.object_key, write_export(export, rows.lazy(), Path(folder)).read_bytes())
                for export in _export_formats(self.spec, (mostrador,), whole=False)
            ]
        return pl.DataFrame(made, schema=FILES_SCHEMA, orient="row")


def _export_formats(
    spec: JobSpec, mostradores: tuple[int, ...], *, whole: bool
) -> Iterator[Export]:
    for kind in ExportFormat:
        for comma in (False, True) if kind is ExportFormat.CSV else (False,):
            yield Export(spec.job_id, mostradores, kind, comma, spec.created_at, whole=whole)
