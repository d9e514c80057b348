"""Spark Connect on this machine: one server, small enough to share it with other tests; sessions.

Serverless Databricks speaks Spark Connect and nothing else. Classic Spark takes more, an empty
Arrow table without a schema for one, so what runs there alone proves nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE_SECONDS, wait_for_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = {
    "spark.master": "local[2]",
    "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": "0",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.warehouse.dir": str(Path(tempfile.gettempdir()) / "ipp-spark-warehouse"),
    "spark.ui.showConsoleProgress": "false",
    # Folders are looked through here, not by a task each: a sell-out has one a day.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
}


JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A process that lives for minutes is done before it would have been compiled well."""

_ROOT = Path(__file__).parents[2]


def needed() -> None:
    """Pass over a test that needs Spark where there is no Java."""
    if which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17, which is not here")


@contextmanager
def run_spark_server(folder: Path, python: Path = Path(sys.executable)) -> Iterator[str]:
    """Run a Spark Connect server until the block ends; yield its address. ``folder`` has its log.

    Kernels run in ``python``, whose version must be that of whoever sends them.

    It is a process of its own, as in production: whoever runs a stage has no Java.
    """
    log = folder / "spark.log"
    settings = " ".join(f"--conf {name}={value}" for name, value in SETTINGS.items())
    started = {
        "PYSPARK_PYTHON": str(python),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": tempfile.gettempdir(),
        "PYSPARK_SUBMIT_ARGS": (
            f'--driver-memory 1g --driver-java-options "{JAVA}" {settings} pyspark-shell'
        ),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cloud.spark"],
            cwd=_ROOT,
            env={**os.environ, **started},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield wait_for_line(process, log, r"Spark Connect at (sc://127\.0\.0\.1:\d+)")
    finally:
        try:
            process.communicate(timeout=PATIENCE_SECONDS)  # closes its input, at whose end it ends
        finally:
            process.kill()


def spark_environment(address: str) -> Mapping[str, str]:
    """Return the environment variables that make a process's Spark session use the server."""
    return {"SPARK_REMOTE": address}


@contextmanager
def session(address: str) -> Iterator[SparkSession]:
    """Give this process a session of the server, until the block ends."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        for name, value in spark_environment(address).items():
            patch.setenv(name, value)
        spark = SparkSession.builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()
            # Pyspark sets this variable itself, and every process started from here would inherit
            # it and do without classic Spark.
            os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)


def _serve() -> None:
    """Run the server that plugs into a classic Spark, until the parent process closes our input."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    service = getattr(spark._jvm, "org.apache.spark.sql.connect.service.SparkConnectService$")
    port = service.__getattr__("MODULE$").localPort()
    print(f"Spark Connect at sc://127.0.0.1:{port}", flush=True)  # noqa: T201  # for whoever started this
    sys.stdin.read()
    spark.stop()


if __name__ == "__main__":
    _serve()
