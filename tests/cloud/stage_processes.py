"""Run the three stages of a job as processes, each by its entry point, over Spark Connect."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.tables import RESULTS
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import JobSpec, save_spec
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import run_stage
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.cloud.workspace.tables import folder_of, lay_out
from tests.sample_chain import build_runner, write_sample
from tests.waiting import PATIENCE_SECONDS

ENTRY_POINTS = ("ipp-normalise", "ipp-factor", "ipp-publish")
MOSTRADORES = (7_051_602, 7_051_603)
"""A counter of the traditional model, and one of the predictive."""


@dataclass(frozen=True)
class StagedJob:
    """A job of a sample chain in ``folder``, which Polars and Spark can both compute."""

    folder: Path
    here: LocalRunner
    spec: JobSpec

    def run_here(self) -> pl.DataFrame:
        """Compute the job in this process; return what it published."""
        for stage in Stage:
            run_stage(stage, self.spec, self.here, lambda _mostrador: None)
        return self.here.lakehouse.scan_table(RESULTS).sort(RESULTS.key).collect()

    def run_processes(
        self, commands: Sequence[Sequence[str]], environ: Mapping[str, str]
    ) -> pl.DataFrame:
        """Run a command for each stage with the arguments of a task; return what they published.

        Raises AssertionError with what a command says that fails.
        """
        arguments = [
            f"--job_id={self.spec.job_id}",
            f"--files={self.folder / 'files'}",
            f"--tables={self.folder / 'tables'}",
        ]
        for command in commands:
            ended = subprocess.run(
                [*command, *arguments],
                env={**os.environ, **environ},
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
            assert ended.returncode == 0, f"{command}: {ended.stderr}"
        found = folder_of(RESULTS, self.folder / "tables") / "**" / "*.parquet"
        rows = pl.scan_parquet(found, hive_partitioning=True)
        return RESULTS.conform_rows(rows.rename(dict(RESULTS.names))).sort(RESULTS.key).collect()


def build_staged_job(folder: Path) -> StagedJob:
    """Write a sample chain and the specification of a job of it below ``folder``."""
    here = write_sample(build_runner(folder / "here"))
    lay_out(here.lakehouse, folder / "tables")
    spec = plan_job(
        MOSTRADORES,
        Parameters(),
        LakehouseWarehouse(here.lakehouse),
        job_id="ipp-staged",
        created_at=dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC),
    )
    save_spec(spec, LocalFiles(folder / "files"))
    return StagedJob(folder, here, spec)
