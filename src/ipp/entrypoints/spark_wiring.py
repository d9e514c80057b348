"""The adapters of a stage on Databricks: its tables, and the files of its job."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from ipp.pipeline.runners.spark_runner import SparkRunner
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.s3_files import S3Files
from ipp.storage.files.scratch import Scratch
from ipp.storage.files.volume_files import VolumeFiles
from ipp.storage.lakehouse.catalog_tables import CatalogTables, FolderTables

VOLUMES_PATH: Final = "/Volumes/invenadro/ipp"
"""Where the volumes ipp-raw and ipp-processed lie."""

KEY, SECRET = "aws-access-key-id", "aws-secret-access-key"
"""What a scope of secrets holds, where a workspace reaches the buckets by a key."""


@dataclass(frozen=True, slots=True)
class StageSettings:
    """Where a stage reads and writes.

    ``files`` is the folder of the volumes. They lie over the buckets, or, where ``secret_scope`` names a scope with a
    key of AWS, beside them: then what people open is in ``raw_bucket`` and ``processed_bucket``. ``tables`` is a folder
    of Parquet for a Spark without a catalog, None for the tables of the catalog.
    """

    files: Path = Path(VOLUMES_PATH)
    tables: Path | None = None
    secret_scope: str = ""
    raw_bucket: str = ""
    processed_bucket: str = ""
    region: str = ""


@contextmanager
def stage_runner(settings: StageSettings) -> Iterator[SparkRunner]:
    """What runs a stage on the Spark that this process is given, until the block ends."""
    spark = SparkSession.builder.getOrCreate()
    tables = (
        CatalogTables(spark) if settings.tables is None else FolderTables(spark, settings.tables)
    )
    with tempfile.TemporaryDirectory(prefix="ipp-") as name:
        own = Path(name)
        volumes = VolumeFiles(settings.files, own / "volumes")
        files: FileStore = volumes
        if settings.secret_scope:
            buckets = {"ipp-raw": settings.raw_bucket, "ipp-processed": settings.processed_bucket}
            files = S3Files(
                partial(_s3_client, settings, _workspace_secret()), buckets, own / "objects"
            )
        yield SparkRunner(spark, tables, files, volumes, Scratch(own / "scratch"))


def _s3_client(settings: StageSettings, secret: Callable[[str, str], str]) -> Any:
    """A client of S3 by the key that the workspace keeps."""
    import boto3  # noqa: PLC0415  # only where the buckets are not under the volumes
    from botocore.config import Config  # noqa: PLC0415  # only where the buckets are not under the volumes

    return boto3.client(
        "s3",
        region_name=settings.region or None,
        aws_access_key_id=secret(settings.secret_scope, KEY),
        aws_secret_access_key=secret(settings.secret_scope, SECRET),
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 5}, signature_version="s3v4"
        ),
    )


def _workspace_secret() -> Callable[[str, str], str]:
    """What gives a secret of the workspace that this process runs in."""
    from databricks.sdk import WorkspaceClient  # noqa: PLC0415  # a cluster has it, we do not bring it

    get: Callable[[str, str], str] = WorkspaceClient().dbutils.secrets.get
    return get
