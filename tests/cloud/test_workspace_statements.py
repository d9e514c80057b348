"""The SQL warehouse of the tests is held to the official client, and our statements to both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound
from databricks.sdk.service.sql import (
    StatementParameterListItem,
    StatementResponse,
    StatementState,
)

from ipp.cloud.databricks.client import DatabricksClient, DatabricksRefusedError
from ipp.core.tables import MATERIALS
from ipp.settings import DEFAULT_CATALOG
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.sql_statement import Statement, StatementRunner
from tests.cloud.clients import open_official_client
from tests.cloud.workspace import Workspace
from tests.cloud.workspace.tables import lay_out
from tests.waiting import wait_until

pytest_plugins = ("tests.contract.sqlite_places",)

ENDED = {StatementState.SUCCEEDED, StatementState.FAILED, StatementState.CANCELED}

CELLS = (
    "CAST(NULL AS STRING), 'it''s', 1, 9999999999, 0.1D, -0.0D, double('Infinity'),"
    " TRUE, DATE'2024-02-29',"
    " CAST(1.50 AS DECIMAL(5,2))"
)
TEXTS = [None, "it's", "1", "9999999999", "0.1", "-0.0", "Infinity", "true", "2024-02-29", "1.50"]


@pytest.fixture(scope="module")
def official(running: Workspace) -> Iterator[WorkspaceClient]:
    with open_official_client(running.settings) as made:
        yield made


@pytest.fixture(scope="module")
def statements(running: Workspace) -> Iterator[StatementRunner]:
    client = DatabricksClient(running.settings)
    yield StatementRunner(client, running.settings.warehouse, catalog=DEFAULT_CATALOG, waited=180.0)
    client.close()


@pytest.fixture
def setting(running: Workspace) -> Iterator[Callable[[int, int], None]]:
    """Sets how many rows a chunk has, and how many looks a statement takes."""

    def to(chunk_rows: int, looks: int) -> None:
        body = {"chunk_rows": chunk_rows, "looks": looks}
        running.admin.post(f"{running.url}/admin/statements", json=body).raise_for_status()

    yield to
    to(1_000, 0)


def run_statement(
    official: WorkspaceClient, running: Workspace, sql: str, *parameters: StatementParameterListItem
) -> StatementResponse:
    """How a statement ended, as the official client has it."""
    warehouse = running.settings.warehouse
    begun = official.statement_execution.execute_statement(
        sql, warehouse, wait_timeout="0s", parameters=list(parameters)
    )
    assert begun.statement_id
    return wait_until(
        lambda: official.statement_execution.get_statement(str(begun.statement_id)), has_ended
    )


def has_ended(statement: StatementResponse) -> bool:
    return read_state(statement) in ENDED


def read_state(statement: StatementResponse) -> StatementState:
    assert statement.status
    assert statement.status.state
    return statement.status.state


def read_rows(statement: StatementResponse) -> list[list[str]]:
    assert statement.result
    return statement.result.data_array or []


def test_every_cell_is_a_text_or_null_to_both(
    official: WorkspaceClient, running: Workspace, statements: StatementRunner
) -> None:
    assert read_rows(run_statement(official, running, f"SELECT {CELLS}")) == [TEXTS]
    columns = [(str(number), str) for number in range(len(TEXTS))]
    (ours,) = statements.fetch_rows(Statement(f"SELECT {CELLS}", {}), columns)
    assert list(ours.values()) == TEXTS


def test_parameters_are_cast_to_their_type_and_never_read_as_sql(
    official: WorkspaceClient, running: Workspace, statements: StatementRunner
) -> None:
    nasty = "'; DROP -- :b \\"
    sql = "SELECT typeof(:a), :a, typeof(:b), :b, typeof(:c), :c, :d IS NULL"
    given = (
        ("a", nasty, None),
        ("b", "9007199254740993", "BIGINT"),
        ("c", "12.50", "DOUBLE"),
        ("d", None, "DATE"),
    )
    parameters = [
        StatementParameterListItem(name, type=kind, value=value) for name, value, kind in given
    ]
    expected = ["string", nasty, "bigint", "9007199254740993", "double", "12.5", "true"]
    assert read_rows(run_statement(official, running, sql, *parameters)) == [expected]
    ours = Statement(
        "SELECT typeof(:a), :a, typeof(:b), :b, :d IS NULL", {"a": nasty, "b": 2**53 + 1, "d": None}
    )
    (row,) = statements.fetch_rows(ours, [(name, str) for name in "vwxyz"])
    assert list(row.values()) == [*expected[:4], "true"]


def test_chunks_are_read_one_after_the_other(
    official: WorkspaceClient,
    running: Workspace,
    statements: StatementRunner,
    setting: Callable[[int, int], None],
) -> None:
    setting(4, 2)
    sql = "SELECT id FROM range(10) ORDER BY id"
    found = run_statement(official, running, sql)
    rows, part = list(read_rows(found)), found.result
    while part and part.next_chunk_index is not None:
        part = official.statement_execution.get_statement_result_chunk_n(
            str(found.statement_id), part.next_chunk_index
        )
        rows += part.data_array or []
    assert rows == [[str(n)] for n in range(10)]
    ours = statements.fetch_rows(Statement(sql, {}), [("id", int)])
    assert [row["id"] for row in ours] == list(range(10))


@pytest.mark.parametrize(
    "sql",
    ["SELEC 1", "SELECT nada FROM range(1)", "SELECT * FROM invenadro.bronze.nada", "SELECT :a"],
)
def test_what_spark_does_not_take_is_a_failure_within_an_answer(
    official: WorkspaceClient, running: Workspace, statements: StatementRunner, sql: str
) -> None:
    found = run_statement(official, running, sql)
    assert read_state(found) is StatementState.FAILED
    assert found.status
    assert found.status.error
    assert found.status.error.error_code
    assert found.status.error.error_code.value == "BAD_REQUEST"
    with pytest.raises(DatabricksRefusedError) as error:
        statements.fetch_rows(Statement(sql, {}), [("a", str)])
    assert error.value.error_code == "BAD_REQUEST"


def test_a_warehouse_or_a_statement_that_is_not_there_is_refused(
    official: WorkspaceClient, running: Workspace
) -> None:
    api = official.statement_execution
    with pytest.raises(InvalidParameterValue, match="not a valid endpoint id"):
        api.execute_statement("SELECT 1", "another")
    with pytest.raises(NotFound):
        api.get_statement("01ef-nobody")


def test_a_statement_that_is_cancelled_before_it_began_changes_nothing(
    official: WorkspaceClient,
    running: Workspace,
    tables: Path,
    tmp_path: Path,
    setting: Callable[[int, int], None],
) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": [1]}))
    lay_out(lakehouse, tables)
    setting(1_000, 3)
    api, warehouse = official.statement_execution, running.settings.warehouse
    begun = api.execute_statement(
        f"DELETE FROM {MATERIALS.full_name(DEFAULT_CATALOG)}", warehouse, wait_timeout="0s"
    )
    assert read_state(begun) is StatementState.PENDING
    api.cancel_execution(str(begun.statement_id))
    assert (
        read_state(wait_until(lambda: api.get_statement(str(begun.statement_id)), has_ended))
        is StatementState.CANCELED
    )
    setting(1_000, 0)
    assert read_rows(
        run_statement(
            official, running, f"SELECT material FROM {MATERIALS.full_name(DEFAULT_CATALOG)}"
        )
    ) == [["1"]]


def test_a_change_answers_with_how_many_rows_it_concerned(
    official: WorkspaceClient, running: Workspace, tables: Path, tmp_path: Path
) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    lakehouse.replace_table(
        MATERIALS, pl.LazyFrame({"material": [1, 2, 3], "price": [1.0, None, 3.0]})
    )
    lay_out(lakehouse, tables)
    name = MATERIALS.full_name(DEFAULT_CATALOG)
    for sql, rows in (
        (f"UPDATE {name} SET precio = precio + 1, descripcion = 'a, b'"
         " WHERE precio > 0 AND NOT (material = 3)", [["1"]]),
        (f"INSERT INTO {name} (material, precio) SELECT material + 10, precio"
         f" FROM {name} WHERE material < 3", [["2", "2"]]),
        (f"UPDATE {name} SET vital = TRUE", [["5"]]),
        (f"DELETE FROM {name} WHERE precio IS NULL OR material = 11", [["3"]]),
        (f"SELECT material, precio, descripcion, vital FROM {name} ORDER BY material",
         [["1", "2.0", "a, b", "true"], ["3", "3.0", None, "true"]]),
        (f"DELETE FROM {name}", [["2"]]),
    ):  # fmt: skip
        assert read_rows(run_statement(official, running, sql)) == rows, sql


def test_a_table_that_another_process_replaces_is_read_as_it_is_then(
    official: WorkspaceClient, running: Workspace, tables: Path, tmp_path: Path
) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    sql = f"SELECT count(*), max(material) FROM {MATERIALS.full_name(DEFAULT_CATALOG)}"
    lay_out(lakehouse, tables)
    assert read_rows(run_statement(official, running, sql)) == [["0", None]]
    for most in (1, 3, 2):
        lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": list(range(1, most + 1))}))
        lay_out(lakehouse, tables, [MATERIALS])
        assert read_rows(run_statement(official, running, sql)) == [[str(most), str(most)]]
