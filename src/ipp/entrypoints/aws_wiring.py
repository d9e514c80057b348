"""The adapters of a Lambda: jobs in DynamoDB, objects in S3, stages and questions on Databricks."""

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
from ipp.cloud.databricks.workspace_settings import DatabricksSettings
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
"""How AWS is asked: whoever waits gives up after 29 seconds."""

_S3_CLIENT_CONFIG: Final = _CLIENT_CONFIG.merge(
    Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
)
"""The same for S3: newer regions take no older signature, and only their own host knows their buckets."""


SECRET_READERS: Final[Mapping[str, Callable[[Any, str], str]]] = {
    "secretsmanager": lambda client, name: str(
        client.get_secret_value(SecretId=name)["SecretString"]
    ),
    "ssm": lambda client, name: str(
        client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    ),
}
"""How the content of a secret is had, by where it is kept."""


@dataclass(frozen=True)
class LambdaParts:
    """What a Lambda works with, each part made when it is first needed: a status needs no S3."""

    settings: CloudSettings
    databricks: DatabricksSettings

    @cached_property
    def store(self) -> DynamoJobStore:
        """The jobs."""
        client = boto3.client("dynamodb", config=_CLIENT_CONFIG)
        return DynamoJobStore(
            client,
            self.settings.jobs_table,
            databricks_job_id=self.databricks.normaliser_job,
            unreadable=self.unreadable,
        )

    @cached_property
    def unreadable(self) -> UnreadableJobs:
        """The jobs that could not be read."""
        return UnreadableJobs()

    @cached_property
    def files(self) -> S3Files:
        """The objects."""
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
        """The tables."""
        return DatabricksWarehouse(StatementRunner(self._client, self.databricks.warehouse))

    @cached_property
    def reconciler(self) -> Reconciler:
        """What moves jobs."""
        return Reconciler(
            self.store, DatabricksEngine(self._client, self.databricks), self._write_job_spec
        )

    @cached_property
    def service(self) -> JobService:
        """What people ask of jobs."""
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
        return DatabricksClient(self.databricks)


def build_lambda_parts(environ: Mapping[str, str]) -> LambdaParts:
    """Read the settings.

    Raises `InvalidInputError` for one that cannot be used, `UnavailableError` where the secret cannot be read just now.
    What is missing of Databricks is said by whatever needs it, when it does.
    """
    return LambdaParts(
        CloudSettings.from_environment(environ),
        DatabricksSettings.from_environment(environ, _read_secret),
    )


def _read_secret(name: str) -> str:
    """The content of a secret: ``secretsmanager:NAME`` or ``ssm:NAME``. Raises `UnavailableError`."""
    where, _, rest = name.partition(":")
    if where not in SECRET_READERS or not rest:
        raise InvalidInputError(
            "DATABRICKS_SECRET no dice dónde está el secreto.",
            hint="Es secretsmanager:NOMBRE o ssm:NOMBRE.",
        )
    hint = (
        "Si se repite, quien opera IPP debe revisar DATABRICKS_SECRET y los permisos de la función."
    )
    with translate_aws_errors("El secreto de Databricks", hint=hint):
        return SECRET_READERS[where](boto3.client(where, config=_CLIENT_CONFIG), rest)
