"""The HTTP server over AWS and Databricks: it answers people and programs, and runs no stage."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Final

import boto3

from ipp.entrypoints.aws_wiring import build_lambda_parts
from ipp.entrypoints.cloud_metric import count_failed_job
from ipp.entrypoints.http_server import (
    announce_server,
    bound_port,
    build_server,
    build_sign_in,
    listen,
)
from ipp.entrypoints.json_log import log_as_json
from ipp.errors import InvalidInputError
from ipp.jobs.job import Job
from ipp.server.api import redirect_download
from ipp.server.api.dependencies import Services
from ipp.server.api.full_app import create_full_app
from ipp.server.api.metrics import Metrics
from ipp.server.web import site
from ipp.settings import WebSettings, check_cloud_server
from ipp.storage.files.scratch import Scratch

KEEP_ALIVE_SECONDS: Final = 150
"""Time for which an idle connection is kept.

It is longer than a load balancer keeps its own, which would otherwise send a request into a
connection that is being closed.
"""


def serve_cloud(host: str, port: int) -> None:
    """Serve the jobs in DynamoDB, the files in S3 and the tables in Databricks until interrupted.

    The scheduled Lambda function moves jobs on, and so does a read of a job's status. Raises
    `InvalidInputError` for a missing or invalid setting, or if the address cannot be bound, and
    `UnavailableError` if Databricks' credential cannot be read.
    """
    check_cloud_server(os.environ)
    if boto3.Session().region_name is None:
        raise InvalidInputError("Falta fijar AWS_REGION.", hint="Es la región de la tabla.")
    settings = WebSettings.from_environment(os.environ)
    with listen(host, port) as listening:
        identify, issuer = build_sign_in(settings, host, bound_port(listening))
        log_as_json()
        # A statement's address a line says nothing that an error does not.
        logging.getLogger("httpx2").setLevel(logging.WARNING)

        def watch(job: Job) -> None:
            metrics.count_transition(job)
            count_failed_job(job)

        parts = build_lambda_parts(os.environ, watch)
        parts.settings.databricks.check_complete()
        metrics = Metrics(parts.unreadable)
        # Built here, before there are threads: boto3's default session is not made for several.
        services = Services(parts.service, parts.warehouse, parts.files, identify, metrics)
        downloads = redirect_download.redirect_router(parts.files)
        full_app = create_full_app(services, metrics, downloads, origins=settings.origins)
        scratch = Scratch(Path(tempfile.gettempdir()) / "ipp-borradores")
        site.install_pages(full_app, scratch, issuer)
        server = build_server(full_app, KEEP_ALIVE_SECONDS)
        announce_server(host, listening)
        server.run(sockets=[listening])
