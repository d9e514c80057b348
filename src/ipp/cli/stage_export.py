"""Export the output of a stage to a file that people open."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from ipp.core.contract import Table
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE
from ipp.entrypoints.local_wiring import Application
from ipp.errors import NotFoundError
from ipp.formats.spreadsheet import write_table
from ipp.jobs.job import Stage
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.stages import read_failures

StageOutput = Literal["normalizador", "factor", "publicacion"]
"""The stage whose rows to export; ``publicacion`` means the published ones."""


def save_stage_output(
    app: Application, spec: JobSpec, step: StageOutput, mostrador: int | None, path: Path
) -> None:
    """Write the output of ``step`` for a mostrador, or for all, in the format that ``path`` names.

    Raises `NotFoundError` if the mostrador failed or the stage has not ended, and as
    `ipp.formats.spreadsheet.write_table` does.
    """
    table: Table = RAW_TABLE if step == "normalizador" else PROCESSED_TABLE
    key = spec.raw_key if step == "normalizador" else spec.processed_key
    files = app.runner.files
    failures = read_failures(Stage(step), spec, files)
    if mostrador in failures:
        raise NotFoundError(
            f"El mostrador {mostrador} falló: {failures[mostrador].cause}",
            hint=f"Corrija la causa y siga con `ipp run --reintentar {spec.job_id}`.",
        )
    counters = (
        [counter for counter in spec.mostradores if counter not in failures]
        if mostrador is None
        else [mostrador]
    )
    try:
        stored = [
            table.conform_rows(pl.scan_parquet(files.local_path(key(f"{counter}.parquet"))))
            for counter in counters
        ]
    except NotFoundError:
        raise NotFoundError(
            f"La etapa {step} de {spec.job_id} no ha terminado.",
            hint=f"Siga con `ipp run --reanudar {spec.job_id}`.",
        ) from None
    write_table(path, pl.concat(stored).collect(), table.labels, app.runner.scratch, table.formats)
