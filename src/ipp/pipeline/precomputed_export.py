"""Precompute every downloadable file of a job, for deployments that only serve files."""

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
from ipp.formats.exports.table_export import check_sheet_rows, write_export
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import StoredRows
from ipp.pipeline.runners.spark_runner import FILES_SCHEMA, SparkRunner
from ipp.storage.warehouse.row_batch import MAX_BATCH_ROWS, split_counters
from ipp.storage.warehouse.warehouse import TIE_BREAK_COLUMNS

CONCURRENT_UPLOADS: Final = 16
"""Concurrent uploads; each one only waits for the network."""

BATCH_FILES: Final = 64
"""Files held in memory at a time."""


def precompute_exports(spec: JobSpec, runner: SparkRunner) -> None:
    """Write every file that can be requested of a published job, of one counter and of all.

    The cluster renders the files of one counter; meanwhile this process renders those of all, one
    by one. A workbook of all is skipped if a sheet cannot hold it.
    """
    source = StoredRows(PROCESSED_TABLE, spec.processed_key(""))
    files = runner.render_files(source, RESULTS, ExportKernel(spec), len(spec.mostradores))
    with ThreadPoolExecutor(1) as own, ThreadPoolExecutor(CONCURRENT_UPLOADS) as pool:
        whole = own.submit(_write_whole_exports, spec, runner, source)
        while batch := list(islice(files, BATCH_FILES)):
            deque(pool.map(partial(_upload_file, runner), batch), maxlen=0)
        whole.result()


def _write_whole_exports(spec: JobSpec, runner: SparkRunner, source: StoredRows) -> None:
    """Write the files with all counters of a job."""
    counts = runner.count_published(source, RESULTS)
    with runner.scratch.temporary_folder() as folder:
        for export in _export_formats(spec, spec.mostradores, whole=True):
            try:
                if export.format is ExportFormat.XLSX:
                    check_sheet_rows(sum(count for _, count in counts))
            except TooLongError:
                continue
            batches = (
                runner.read_published(source, RESULTS, first, last).sort(TIE_BREAK_COLUMNS)
                for first, last in split_counters(counts, MAX_BATCH_ROWS)
            )
            path = write_export(export, batches, folder)
            with runner.files.write_object(export.object_key) as target:
                path.rename(target)


def _upload_file(runner: SparkRunner, file: tuple[str, bytes]) -> None:
    key, content = file
    with runner.files.write_object(key) as target:
        target.write_bytes(content)


@dataclass(frozen=True, slots=True)
class ExportKernel:
    """Kernel of one counter: render its published rows as files, by object key."""

    spec: JobSpec

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return a row of `FILES_SCHEMA` for each file."""
        mostrador = int(rows["mostrador"][0])
        batches = [rows.sort(TIE_BREAK_COLUMNS)]
        with tempfile.TemporaryDirectory(prefix="ipp-") as folder:
            files = [
                (export.object_key, write_export(export, batches, Path(folder)).read_bytes())
                for export in _export_formats(self.spec, (mostrador,), whole=False)
            ]
        return pl.DataFrame(files, schema=FILES_SCHEMA, orient="row")


def _export_formats(
    spec: JobSpec, mostradores: tuple[int, ...], *, whole: bool
) -> Iterator[Export]:
    for kind in ExportFormat:
        for comma in (False, True) if kind is ExportFormat.CSV else (False,):
            yield Export(spec.job_id, mostradores, kind, comma, spec.created_at, whole=whole)
