"""Run SQL statements on a Databricks warehouse, within a time budget."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ipp.cloud.databricks.client import DatabricksClient, DatabricksRefusedError
from ipp.errors import BusyError, IppError, UnavailableError

_STATEMENTS_PATH: Final = "/api/2.0/sql/statements"

STATEMENT_TIMEOUT_SECONDS: Final = 20.0
"""Seconds that a statement may take: the caller waits 29 at most."""

_SERVER_WAIT: Final = "5s"
"""Time that the workspace waits before it answers that a statement is still running.

It is shorter than the client's read timeout.
"""

_MAX_POLLS: Final = 200
"""Maximum polls of a running statement, and maximum chunks of a result."""

_MAX_ERROR_CHARACTERS: Final = 300
"""Maximum characters kept of the reason why a statement failed."""

_CONFLICT_ATTEMPTS: Final = 4
"""Attempts at a change that conflicts with concurrent ones (optimistic locking)."""

_TRANSIENT_ERRORS: Final = frozenset(
    {
        "ABORTED",
        "DEADLINE_EXCEEDED",
        "INTERNAL_ERROR",
        "IO_ERROR",
        "RESOURCE_EXHAUSTED",
        "SERVICE_UNDER_MAINTENANCE",
        "TEMPORARILY_UNAVAILABLE",
        "WORKSPACE_TEMPORARILY_UNAVAILABLE",
    }
)
"""Error codes of failures that may succeed on a retry."""

MISSING_TABLE_ERROR: Final = "[TABLE_OR_VIEW_NOT_FOUND]"
"""Text of Databricks' error for a table that does not exist."""

_CONFLICT_PREFIX: Final = "[DELTA_CONCURRENT_"
"""Prefix of Delta's error for a change not made because a concurrent one changed its input."""

SqlValue = str | int | float | bool | dt.date | None
ParseCell = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``:name`` parameters, and their values; ``safe`` means that it is idempotent."""

    sql: str
    values: Mapping[str, SqlValue]
    safe: bool = True


class StatementRunner:
    """Runner of statements on the warehouse of a workspace.

    Tables are those of ``catalog``: statements name only their schema. ``clock`` is monotonic, in
    seconds; ``sleep`` waits; ``waited`` is the budget, in seconds.
    """

    def __init__(
        self,
        client: DatabricksClient,
        warehouse: str,
        *,
        catalog: str,
        waited: float = STATEMENT_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._warehouse = warehouse
        self.catalog = catalog
        self._waited = waited
        self._clock = clock
        self._sleep = sleep

    def fetch_rows(
        self, statement: Statement, columns: Sequence[tuple[str, ParseCell]]
    ) -> list[dict[str, Any]]:
        """Return the rows of a query; ``columns`` are the key and the parser of each cell.

        Raises `UnavailableError`, or `DatabricksRefusedError` if the workspace rejects it.
        """
        keys = [name for name, _ in columns]
        parsers = [parse for _, parse in columns]
        deadline = self._client.deadline_after(self._waited)
        answer = self._run_statement(statement, deadline)
        rows: list[dict[str, Any]] = []
        for row in self._fetch_cells(answer):
            cells = [
                None if cell is None else parse(cell)
                for parse, cell in zip(parsers, row, strict=True)
            ]
            rows.append(dict(zip(keys, cells, strict=True)))
        return rows

    def fetch_rows_if_table_exists(
        self, statement: Statement, columns: Sequence[tuple[str, ParseCell]]
    ) -> list[dict[str, Any]]:
        """Return the rows of a query, or none if its table does not exist.

        What first writes to such a table creates it.
        """
        try:
            return self.fetch_rows(statement, columns)
        except DatabricksRefusedError as refusal:
            if MISSING_TABLE_ERROR in refusal.message:
                return []
            raise

    def count_changed(self, statement: Statement) -> int:
        """Run an INSERT, UPDATE or DELETE and return how many rows it changed.

        Raises the errors of `fetch_rows`, and `BusyError` if every attempt conflicts.
        """
        deadline = self._client.deadline_after(self._waited)
        for _ in range(_CONFLICT_ATTEMPTS):
            try:
                rows = list(self._fetch_cells(self._run_statement(statement, deadline)))
            except _ConflictError:
                continue
            if not rows or rows[0][0] is None:
                raise UnavailableError(
                    "Databricks no dijo cuántos renglones cambió.", hint="Revise si el cambio está."
                )
            return int(rows[0][0])
        raise BusyError("Otros están cambiando la misma tabla.", hint="Espere un momento y repita.")

    def _run_statement(self, statement: Statement, until: float) -> Mapping[str, Any]:
        """Return the response of a statement that succeeded, with its first chunk."""
        body = {
            "warehouse_id": self._warehouse,
            "catalog": self.catalog,
            "statement": statement.sql,
            "parameters": [_sql_parameter(name, value) for name, value in statement.values.items()],
            "wait_timeout": _SERVER_WAIT,
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
        }
        answer = self._client.post(_STATEMENTS_PATH, body, safe=statement.safe)
        if not answer.get("statement_id"):
            raise UnavailableError(
                "Databricks no dijo qué consulta empezó.", hint="Repita en un momento."
            )
        path = f"{_STATEMENTS_PATH}/{answer['statement_id']}"
        for poll in range(_MAX_POLLS):
            status = answer.get("status") or {}
            match status.get("state"):
                case "SUCCEEDED":
                    return answer
                case "FAILED" | "CANCELED" | "CLOSED":
                    raise _error_of(status)
            if self._clock() >= until:
                break
            self._sleep(min(0.1 * 1.5**poll, 2.0))
            answer = {**self._client.get(path), "statement_id": answer["statement_id"]}
        # Cancelling only saves work in the warehouse, so its failure does not matter.
        with suppress(IppError):
            self._client.post(f"{path}/cancel", {}, safe=True)
        raise UnavailableError(
            "La consulta a Databricks tardó demasiado.",
            hint="El warehouse puede estar arrancando: repita en un minuto.",
        )

    def _fetch_cells(self, answer: Mapping[str, Any]) -> Iterator[Sequence[str | None]]:
        """Yield the rows of a response as texts, chunk by chunk."""
        chunk: Mapping[str, Any] = answer.get("result") or {}
        for _ in range(_MAX_POLLS):
            yield from chunk.get("data_array") or ()
            following = chunk.get("next_chunk_index")
            if following is None:
                return
            path = f"{_STATEMENTS_PATH}/{answer['statement_id']}/result/chunks/{following}"
            chunk = self._client.get(path)
        raise UnavailableError("La respuesta de Databricks no termina.")


class _ConflictError(UnavailableError):
    """A concurrent change was made first, and this one was not made."""


def _error_of(status: Mapping[str, Any]) -> UnavailableError | DatabricksRefusedError:
    error = status.get("error") or {}
    code = str(error.get("error_code", status.get("state")))
    if _CONFLICT_PREFIX in str(error.get("message", "")):
        return _ConflictError("Otros están cambiando la misma tabla.", hint="Repita en un momento.")
    if code in _TRANSIENT_ERRORS or status.get("state") != "FAILED":
        return UnavailableError(
            f"Databricks no terminó la consulta ({code}).", hint="Repita en un momento."
        )
    # The lines after the first are the statement and its plan.
    first, *_ = [*str(error.get("message", "")).strip().splitlines(), ""]
    return DatabricksRefusedError(200, code, first[:_MAX_ERROR_CHARACTERS])


def _sql_parameter(name: str, value: SqlValue) -> dict[str, Any]:
    """Return a parameter in the API's form: text with a SQL type; null has no value."""
    match value:
        case None:
            return {"name": name, "type": "STRING"}
        case bool():
            kind, text = "BOOLEAN", "true" if value else "false"
        case int():
            kind, text = "BIGINT", str(value)
        case float():
            kind, text = "DOUBLE", repr(value)
        case dt.date():
            kind, text = "DATE", value.isoformat()
        case _:
            kind, text = "STRING", value
    return {"name": name, "value": text, "type": kind}
