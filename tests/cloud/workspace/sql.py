"""Spark SQL over Parquet folders: each statement sees the tables as they are at its moment."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  # as everybody calls it
from pyspark.sql.types import LongType

from ipp.core.contract import Table
from tests.cloud.workspace.change import change_of
from tests.cloud.workspace.tables import TABLES, folder_of, write

_NAME: Final = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|--[^\n]*|/\*.*?\*/|\b(?:(\w+)\.)?(\w+\.\w+)\b""",
    re.DOTALL,
)
"""What holds no name (texts, comments), or a name with its schema, and with its catalog or not."""

_TYPE: Final = re.compile(r"[A-Za-z_]+(\(\d+(, *\d+)?\))?")

_TURNS: Final = 5
"""How often a statement is begun where somebody replaces a table while it is read."""

_JAVA: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a process that lives for minutes and plans more than it computes: a third of the time."""


class SqlError(Exception):
    """Spark does not take a statement, or fails at it."""


@dataclass(frozen=True)
class Parameter:
    """A value by its name, as text with the SQL type it is of; None is null."""

    name: str
    value: str | None
    type: str


TextRow = Sequence[str | None]
"""Cells as SQL casts them to texts."""


class Sql:
    """Runs statements over the tables below ``tables``, one after the other."""

    def __init__(self, tables: Path) -> None:
        self._tables = tables
        self._lock = threading.Lock()
        self._scratch = tempfile.TemporaryDirectory(prefix="ipp-spark-")
        self._started: SparkSession | None = None

    def run(self, text: str, parameters: Sequence[Parameter], catalog: str) -> Sequence[TextRow]:
        """Return a statement's rows; what it changes is changed at one moment.

        A name without a catalog is of ``catalog``, empty for none. Raises `SqlError`.
        """
        with self._lock, _explained():
            for _ in range(_TURNS):
                try:
                    return self._run(text, parameters, catalog)
                except PySparkException as error:
                    if "FILE_NOT_EXIST" not in str(error):
                        raise
        raise SqlError("[FAILED_READ_FILE.FILE_NOT_EXIST] The tables change too often.")

    def start(self) -> None:
        """Start Spark, which otherwise the first statement does."""
        with self._lock:
            self._spark.sql("SELECT 1").collect()

    def close(self) -> None:
        """End Spark."""
        with self._lock:
            if self._started is not None:
                self._started.stop()
            self._scratch.cleanup()

    @property
    def _spark(self) -> SparkSession:
        if self._started is None:
            self._started = _session(self._scratch.name)
        return self._started

    def _run(self, text: str, parameters: Sequence[Parameter], catalog: str) -> Sequence[TextRow]:
        named, places = _views(text, catalog)
        views = {view: table for view, (table, _) in places.items()}
        folders = {
            view: folder_of(table, self._tables, its_catalog)
            for view, (table, its_catalog) in places.items()
        }
        for view, table in views.items():
            self._read(table, folders[view]).createOrReplaceTempView(view)
        values = self._values(parameters)
        plan: Any = self._spark._jsparkSession.sessionState().sqlParser().parsePlan(named)
        if plan.getClass().getSimpleName() == "CreateTable":
            ((view, table),) = views.items()
            return self._create(table, folders[view])
        change = change_of(plan, named, views)
        if change is None:
            return _texts(self._spark.sql(named, args=values))
        folder = folders[change.view]
        if change.adds and not folder.is_dir():
            raise SqlError(f"[TABLE_OR_VIEW_NOT_FOUND] The table {change.table.name} is not there.")
        rows = self._spark.sql(change.query, args=dict(values)).toArrow()
        return change.write(rows, folder)

    def _create(self, table: Table, folder: Path) -> Sequence[TextRow]:
        """Create the table of a statement, without rows, unless it exists."""
        if not folder.is_dir():
            write(table, pl.DataFrame(schema=table.schema), folder)
        return []

    def _read(self, table: Table, folder: Path) -> DataFrame:
        """The table as it is now; without rows where it was never written."""
        if not folder.is_dir():
            cells = ", ".join(
                f"CAST(NULL AS {column.kind.sql}) AS `{column.label}`" for column in table.columns
            )
            return self._spark.sql(f"SELECT {cells} WHERE FALSE")
        schema = ", ".join(f"`{column.label}` {column.kind.sql}" for column in table.columns)
        read = self._spark.read.schema(schema).parquet(str(folder))
        return read.select(*(f"`{label}`" for label in table.labels.values()))

    def _values(self, parameters: Sequence[Parameter]) -> dict[str, Column]:
        """The parameters as literals, each cast to its type by Spark."""
        if not parameters:
            return {}
        if bad := [each.type for each in parameters if not _TYPE.fullmatch(each.type)]:
            raise SqlError(f"[UNSUPPORTED_DATATYPE] Unsupported data type {bad[0]}.")
        casts = ", ".join(
            f"CAST(:p{number} AS {each.type})" for number, each in enumerate(parameters)
        )
        cast = self._spark.sql(
            f"SELECT {casts}", args={f"p{n}": each.value for n, each in enumerate(parameters)}
        )
        (cells,) = cast.collect()
        return {
            each.name: F.expr(f"{cell}L")
            if isinstance(cell, int) and isinstance(field.dataType, LongType)
            else F.lit(cell)
            for each, cell, field in zip(parameters, cells, cast.schema, strict=True)
        }


def _views(text: str, catalog: str) -> tuple[str, dict[str, tuple[Table, str]]]:
    """Return the statement with view names for tables, and their tables and catalogs.

    Without a catalog a name stays as it is: Spark then says that there is no such table.
    """
    views: dict[str, tuple[Table, str]] = {}

    def view(match: re.Match[str]) -> str:
        table, its_catalog = TABLES.get(match[2] or ""), match[1] or catalog
        if table is None or not its_catalog:
            return match[0]
        name = _view_name(table.full_name(its_catalog))
        views[name] = table, its_catalog
        return name

    return _NAME.sub(view, text), views


def _view_name(name: str) -> str:
    return name.replace(".", "__")


def _texts(frame: DataFrame) -> Sequence[TextRow]:
    """The rows of a frame, each cell as SQL casts it to a text."""
    numbered = frame.toDF(*(f"c{number}" for number in range(len(frame.columns))))
    texts = numbered.select(*(F.col(name).cast("string") for name in numbered.columns))
    return [tuple(row) for row in texts.collect()]


@contextmanager
def _explained() -> Iterator[None]:
    """What Spark says of a statement, with the names of tables in the place of the views'."""
    try:
        yield
    except PySparkException as error:
        message = str(error).strip()
        for name in TABLES:
            message = message.replace(_view_name(f".{name}"), f".{name}")
        raise SqlError(message) from None


def _session(scratch: str) -> SparkSession:
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(
            logging.CRITICAL
        )  # what is wrong with a statement is its answer
    builder = SparkSession.builder.master("local[1]").appName("warehouse")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"{_JAVA} -Djava.io.tmpdir={scratch}",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "700m",
        "spark.local.dir": scratch,
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
        "spark.sql.warehouse.dir": f"{scratch}/warehouse",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
