"""A Spark on this machine, small enough to stand beside other tests."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTINGS = {
    "spark.master": "local[2]",
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
"""A process that lives for seconds is done before it would have been compiled well."""


def environment() -> Mapping[str, str]:
    """What makes a process that asks for a Spark get such a one."""
    settings = " ".join(f"--conf {name}={value}" for name, value in SETTINGS.items())
    return {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": tempfile.gettempdir(),
        "PYSPARK_SUBMIT_ARGS": f'--driver-memory 1g --driver-java-options "{JAVA}" {settings} pyspark-shell',
    }


def needed() -> None:
    """Pass over a test that needs Spark where there is no Java."""
    if which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17, which is not here")


@contextmanager
def session() -> Iterator[SparkSession]:
    """A Spark in this process, until the block ends."""
    needed()
    from pyspark.sql import SparkSession

    before = {name: os.environ.get(name) for name in environment()}
    os.environ |= environment()
    try:
        spark = SparkSession.builder.getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")
        yield spark
        spark.stop()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
