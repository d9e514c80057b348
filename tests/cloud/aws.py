"""An AWS that answers over HTTP, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.waiting import PATIENCE_SECONDS, end_process, wait_for_line

REGION = "us-east-1"

_MOTO = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
"""
"""moto's server, one request at a time.

moto checks a condition and writes in two steps, which DynamoDB does in one.
"""


@contextmanager
def run_moto(folder: Path) -> Iterator[str]:
    """Yield the address of a server on a free port until the block ends; ``folder`` has its log."""
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", _MOTO],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield wait_for_line(server, log, r"Running on (http://127\.0\.0\.1:\d+)")
    finally:
        end_process(server)


def client_of(address: str, service: str) -> Any:
    """Return a client without retries, so that a test sees every answer, and without proxies."""
    return boto3.client(
        service,
        endpoint_url=address,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(
            connect_timeout=PATIENCE_SECONDS,
            read_timeout=PATIENCE_SECONDS,
            retries={"total_max_attempts": 1},
            proxies={},
            max_pool_connections=20,
        ),
    )


def aws_environment(address: str) -> dict[str, str]:
    """Return the variables that make a process take the server for AWS."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "DATABRICKS_", "IPP_"))
    }
    return kept | {
        "AWS_ENDPOINT_URL": address,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "NO_PROXY": "127.0.0.1",
    }
