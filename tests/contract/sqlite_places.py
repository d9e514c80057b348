"""Fixtures: a warehouse of each kind, as a plugin of the modules that share one workspace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from ipp.cloud.databricks.client import DatabricksClient
from ipp.core.tables import RESULTS
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.databricks_warehouse import DatabricksWarehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.sql_statement import StatementRunner
from ipp.storage.warehouse.warehouse import TableRow, Warehouse
from tests.cloud.workspace import JobDefinition, Workspace, run_workspace
from tests.cloud.workspace.tables import lay_out
from tests.contract.warehouses import JOB, Place, build_results

_SLOW_START = 600.0
"""Seconds that Spark may take to start beside other tests."""


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workspace has its tables."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="session")
def running(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace whose SQL warehouse answers from ``tables``."""
    if which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java 17, which is not here")
    with run_workspace(
        tmp_path_factory.mktemp("workspace"), [JobDefinition(1, "none")], tables=tables
    ) as started:
        yield started


@pytest.fixture(scope="session")
def databricks(running: Workspace) -> Iterator[DatabricksWarehouse]:
    client = DatabricksClient(running.settings)
    yield DatabricksWarehouse(
        StatementRunner(
            client, running.settings.warehouse, catalog=DEFAULT_CATALOG, waited=_SLOW_START
        )
    )
    client.close()


@pytest.fixture(params=[LakehouseWarehouse, DatabricksWarehouse], ids=lambda kind: kind.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A warehouse whose tables were never written."""
    lakehouse = DeltaLakehouse(tmp_path / "lakehouse")
    if request.param is LakehouseWarehouse:
        return Place(LakehouseWarehouse(lakehouse), lakehouse)
    folder: Path = request.getfixturevalue("tables")
    lay_out(lakehouse, folder)
    return Place(request.getfixturevalue("databricks"), lakehouse, folder)


@pytest.fixture
def published(place: Place) -> tuple[Warehouse, list[TableRow]]:
    """A warehouse, and the rows that a job published in it."""
    rows = build_results()
    place.put(RESULTS, rows)
    return place.warehouse, [row for row in rows if row["job_id"] == JOB]
