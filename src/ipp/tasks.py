"""The three stages as Databricks runs them: the entry points of the wheel, one for each task.

``ipp-normalise --job_id=JOB``: files are under ``--files``, a folder of volumes, tables in the catalog that the
cluster is of; ``--tables`` names a folder of Parquet instead, for a Spark without one.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

from ipp.exports.handover import hand_over
from ipp.files.scratch import Scratch
from ipp.files.volume import VolumeFiles
from ipp.lakehouse.spark import CatalogTables, FolderTables
from ipp.request import load_spec
from ipp.runners.spark import SparkRunner
from ipp.stages import STAGES

VOLUMES: Final = "/Volumes/invenadro/ipp"
"""Where the volumes over the buckets lie, by their names: ipp-raw and ipp-processed."""


def normalise() -> None:
    """Run Job 1."""
    _main("normalizador")


def factor() -> None:
    """Run the factor step."""
    _main("factor")


def publish() -> None:
    """Run Job 2, and lay out the files that people fetch."""
    _main("publicacion")


def _main(stage: str) -> None:
    """Run a stage; what goes wrong is raised, and its last words are what the workspace shows of it."""
    asked = _asked(sys.argv[1:])
    run(stage, asked.job_id, files=Path(asked.files), tables=asked.tables and Path(asked.tables))


def run(stage: str, job_id: str, *, files: Path, tables: Path | None = None) -> None:
    """Run ``stage`` of a job whose files are under ``files``. Raises `NotFoundError` where there is no such job."""
    spark = SparkSession.builder.getOrCreate()
    with tempfile.TemporaryDirectory(prefix="ipp-") as own:
        store = VolumeFiles(files, Path(own) / "passing")
        spec = load_spec(job_id, store)
        place = CatalogTables(spark) if tables is None else FolderTables(spark, tables)
        runner = SparkRunner(spark, place, store, Scratch(Path(own) / "scratch"))
        STAGES[stage](spec, runner, lambda _mostrador: None)
        if stage == "publicacion":
            hand_over(spec, runner)


def _asked(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--job_id", required=True)
    parser.add_argument("--files", default=VOLUMES)
    parser.add_argument("--tables", default=None)
    return parser.parse_args(arguments)
