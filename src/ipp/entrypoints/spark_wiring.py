"""The adapters of a stage on Databricks: its tables, and the files of its job."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from ipp.pipeline.runners.spark_runner import SparkRunner
from ipp.settings import StageSettings
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.s3_files import S3Files
from ipp.storage.files.scratch import Scratch
from ipp.storage.files.volume_files import VolumeFiles
from ipp.storage.lakehouse.catalog_tables import CatalogTables, FolderTables

KEY, SECRET = "aws-access-key-id", "aws-secret-access-key"
"""The secrets of a scope, if a workspace accesses the buckets with an AWS key."""


@contextmanager
def stage_runner(settings: StageSettings) -> Iterator[SparkRunner]:
    """Yield a runner of stages on this process's Spark session; it lasts until the block ends."""
    spark = SparkSession.builder.getOrCreate()
    tables = (
        CatalogTables(spark, settings.catalog)
        if settings.tables is None
        else FolderTables(spark, settings.tables, settings.catalog)
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
    """Return an S3 client that uses the AWS key in the workspace's secrets."""
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
    """Return a function that reads a secret, by scope and key, from this process's workspace."""
    from databricks.sdk import WorkspaceClient  # noqa: PLC0415  # a cluster has it, we do not bring it

    get: Callable[[str, str], str] = WorkspaceClient().dbutils.secrets.get
    return get
