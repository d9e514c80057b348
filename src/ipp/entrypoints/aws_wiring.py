"""The adapters of a Lambda: jobs in DynamoDB, files in S3, stages and queries on Databricks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from ipp.cloud.aws_errors import translate_aws_errors
from ipp.cloud.databricks.client import DatabricksClient
from ipp.entrypoints.clock import new_job_id, utc_now
from ipp.errors import InvalidInputError
from ipp.jobs.dynamodb_job_store import DynamoJobStore
from ipp.jobs.engines.databricks_engine import DatabricksEngine
from ipp.jobs.job import Job
from ipp.jobs.job_service import JobService, job_preparer
from ipp.jobs.reconciler import Reconciler
from ipp.jobs.unreadable_job import UnreadableJobs
from ipp.settings import CloudSettings
from ipp.storage.files.s3_files import S3Files
from ipp.storage.warehouse.databricks_warehouse import DatabricksWarehouse
from ipp.storage.warehouse.sql_statement import StatementRunner

_CLIENT_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=10,
)
"""Timeouts and retries of AWS calls: API Gateway gives up after 29 seconds."""

_S3_CLIENT_CONFIG: Final = _CLIENT_CONFIG.merge(
    Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
)
"""The same for S3: newer regions accept only this signature, and only their regional endpoint.

Other hosts do not know their buckets.
"""

SECRET_READERS: Final[Mapping[str, Callable[[Any, str], str]]] = {
    "secretsmanager": lambda client, name: str(
        client.get_secret_value(SecretId=name)["SecretString"]
    ),
    "ssm": lambda client, name: str(
        client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    ),
}
"""Functions that read a secret, by the store that holds it."""


@dataclass(frozen=True)
class LambdaParts:
    """The adapters of a Lambda, each built on first use: reading a status needs no S3."""

    settings: CloudSettings
    watch: Callable[[Job], None] = lambda _job: None
    """Called with each job whose status has changed."""

    @cached_property
    def store(self) -> DynamoJobStore:
        """The job store."""
        client = boto3.client("dynamodb", config=_CLIENT_CONFIG)
        return DynamoJobStore(
            client,
            self.settings.jobs_table,
            databricks_job_id=self.settings.databricks.normaliser_job,
            unreadable=self.unreadable,
        )

    @cached_property
    def unreadable(self) -> UnreadableJobs:
        """The record of jobs that could not be read."""
        return UnreadableJobs()

    @cached_property
    def files(self) -> S3Files:
        """The file store, in S3."""
        buckets = {
            "ipp-raw": self.settings.raw_bucket,
            "ipp-processed": self.settings.processed_bucket,
        }
        return S3Files(
            lambda: boto3.client("s3", config=_S3_CLIENT_CONFIG),
            buckets,
            Path(tempfile.gettempdir()) / "ipp",
        )

    @cached_property
    def warehouse(self) -> DatabricksWarehouse:
        """The warehouse of published tables."""
        return DatabricksWarehouse(
            StatementRunner(
                self._client, self.settings.databricks.warehouse, catalog=self.settings.catalog
            )
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """The reconciler, which moves jobs on."""
        engine = DatabricksEngine(self._client, self.settings.databricks)
        return Reconciler(self.store, engine, self._write_job_spec, self.watch)

    @cached_property
    def service(self) -> JobService:
        """The job service, without a ``recall``."""
        return JobService(
            self.store,
            self.reconciler,
            self.warehouse,
            clock=utc_now,
            new_id=new_job_id,
            max_running=self.settings.max_jobs,
        )

    def _write_job_spec(self, job: Job) -> None:
        job_preparer(self.files)(job)

    @cached_property
    def _client(self) -> DatabricksClient:
        return DatabricksClient(self.settings.databricks)


def build_lambda_parts(
    environ: Mapping[str, str], watch: Callable[[Job], None] = lambda _job: None
) -> LambdaParts:
    """Read the settings and return the adapters; ``watch`` is that of `Reconciler`.

    Raises `InvalidInputError` for an invalid setting, and `UnavailableError` if the secret is
    temporarily unreadable. Missing Databricks settings are reported by the adapter that needs them.
    """
    return LambdaParts(CloudSettings.from_environment(environ, _read_secret), watch)


def _read_secret(name: str) -> str:
    """Read a secret named ``secretsmanager:NAME`` or ``ssm:NAME``.

    Raises `UnavailableError`, and `InvalidInputError` for another form of name.
    """
    store, _, rest = name.partition(":")
    if store not in SECRET_READERS or not rest:
        raise InvalidInputError(
            "DATABRICKS_SECRET no dice dónde está el secreto.",
            hint="Es secretsmanager:NOMBRE o ssm:NOMBRE.",
        )
    hint = (
        "Si se repite, quien opera IPP debe revisar DATABRICKS_SECRET y los permisos de la función."
    )
    with translate_aws_errors("El secreto de Databricks", hint=hint):
        return SECRET_READERS[store](boto3.client(store, config=_CLIENT_CONFIG), rest)
