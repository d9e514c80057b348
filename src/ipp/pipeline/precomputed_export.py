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
from ipp.core.workbook_columns import PROCESSED
from ipp.formats.exports.export import Export, Format, TooLongError
from ipp.formats.exports.table_export import write
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Kept
from ipp.pipeline.runners.spark_runner import FILES, SparkRunner

AT_ONCE: Final = 16
"""Files that are put in their place at a time: each waits for the network and for nothing else."""

TOGETHER: Final = 64
"""Files that are in memory at a time."""


def hand_over(spec: JobSpec, runner: SparkRunner) -> None:
    """Lay out every file that can be asked for of a published job, of one mostrador and of all.

    Those of one are made where its rows are, those of all here, one after the other. A workbook of all is left out
    where a sheet cannot hold it.
    """
    source = Kept(PROCESSED, spec.processed(""))
    rows = runner.published(source, RESULTS)
    with runner.scratch.folder() as folder:
        for export in _kinds(spec, spec.mostradores, whole=True):
            try:
                path = write(export, rows, folder)
            except TooLongError:
                continue
            with runner.files.writing(export.key) as target:
                path.rename(target)
    made = runner.files_of_each(source, RESULTS, Exporter(spec), len(spec.mostradores))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while some := list(islice(made, TOGETHER)):
            deque(pool.map(partial(_put, runner), some), maxlen=0)


def _put(runner: SparkRunner, made: tuple[str, bytes]) -> None:
    key, content = made
    with runner.files.writing(key) as target:
        target.write_bytes(content)


@dataclass(frozen=True, slots=True)
class Exporter:
    """The kernel of one mostrador: from its published rows to the files of them, each by its key."""

    spec: JobSpec

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """A row for each file."""
        mostrador = int(rows["mostrador"][0])
        with tempfile.TemporaryDirectory(prefix="ipp-") as folder:
            made = [
                (export.key, write(export, rows.lazy(), Path(folder)).read_bytes())
                for export in _kinds(self.spec, (mostrador,), whole=False)
            ]
        return pl.DataFrame(made, schema=FILES, orient="row")


def _kinds(spec: JobSpec, mostradores: tuple[int, ...], *, whole: bool) -> Iterator[Export]:
    for kind in Format:
        for comma in (False, True) if kind is Format.CSV else (False,):
            yield Export(spec.job_id, mostradores, kind, comma, spec.created_at, whole=whole)
