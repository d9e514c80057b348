"""SQL statements on a Databricks warehouse: parameters by name, waited for within a budget, read chunk by chunk."""

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
"""Seconds that a statement may take: whoever asks waits 29 at most."""

_SERVER_WAIT: Final = "5s"
"""How long the workspace itself waits before it answers that a statement still runs: less than its client does."""

_MAX_POLLS: Final = 200
"""Most looks at a statement that runs, and most chunks of an answer."""

_MAX_ERROR_CHARACTERS: Final = 300
"""Characters that are kept of why a statement failed."""

_CONFLICT_ATTEMPTS: Final = 4
"""How often a change is tried that others were ahead of."""

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
"""Why a statement fails that may do well a moment later."""

_CONFLICT_PREFIX: Final = "[DELTA_CONCURRENT_"
"""How Delta's words begin for a change that was not made, because another was made to what it had read."""

SqlValue = str | int | float | bool | dt.date | None
ParseCell = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``:name`` wherever a value goes, and the values. ``safe`` tells that doing it twice does it once."""

    sql: str
    values: Mapping[str, SqlValue]
    safe: bool = True


class StatementRunner:
    """Runs statements on the warehouse of a workspace. ``clock`` gives seconds that only rise, ``sleep`` waits."""

    def __init__(
        self,
        client: DatabricksClient,
        warehouse: str,
        *,
        waited: float = STATEMENT_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._warehouse = warehouse
        self._waited = waited
        self._clock = clock
        self._sleep = sleep

    def fetch_rows(
        self, statement: Statement, columns: Sequence[tuple[str, ParseCell]]
    ) -> list[dict[str, Any]]:
        """What a query gives: for each column in order its name here and how its text is read.

        Raises `UnavailableError`, or `DatabricksRefusedError` for a statement that the workspace does not take.
        """
        names = [name for name, _ in columns]
        reads = [read for _, read in columns]
        return [
            dict(
                zip(
                    names,
                    (
                        None if cell is None else read(cell)
                        for read, cell in zip(reads, row, strict=True)
                    ),
                    strict=True,
                )
            )
            for row in self._fetch_cells(
                self._run_statement(statement, self._client.deadline_after(self._waited))
            )
        ]

    def count_changed(self, statement: Statement) -> int:
        """How many rows an INSERT, UPDATE or DELETE changed.

        Raises as `rows`, and `BusyError` where others are always ahead.
        """
        until = self._client.deadline_after(self._waited)
        for _ in range(_CONFLICT_ATTEMPTS):
            try:
                found = list(self._fetch_cells(self._run_statement(statement, until)))
            except _ConflictError:
                continue
            if not found or found[0][0] is None:
                raise UnavailableError(
                    "Databricks no dijo cuántos renglones cambió.", hint="Revise si el cambio está."
                )
            return int(found[0][0])
        raise BusyError("Otros están cambiando la misma tabla.", hint="Espere un momento y repita.")

    def _run_statement(self, statement: Statement, until: float) -> Mapping[str, Any]:
        """The answer of a statement that succeeded, with its first chunk."""
        body = {
            "warehouse_id": self._warehouse,
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
        for look in range(_MAX_POLLS):
            status = answer.get("status") or {}
            match status.get("state"):
                case "SUCCEEDED":
                    return answer
                case "FAILED" | "CANCELED" | "CLOSED":
                    raise _error_of(status)
            if self._clock() >= until:
                break
            self._sleep(min(0.1 * 1.5**look, 2.0))
            answer = {**self._client.get(path), "statement_id": answer["statement_id"]}
        with suppress(IppError):  # nobody waits for what it answers
            self._client.post(f"{path}/cancel", {}, safe=True)
        raise UnavailableError(
            "La consulta a Databricks tardó demasiado.",
            hint="El warehouse puede estar arrancando: repita en un minuto.",
        )

    def _fetch_cells(self, answer: Mapping[str, Any]) -> Iterator[Sequence[str | None]]:
        """The rows of an answer as texts, one chunk after the other."""
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
    """Another change was made first, and this one was not."""


def _error_of(status: Mapping[str, Any]) -> UnavailableError | DatabricksRefusedError:
    error = status.get("error") or {}
    code = str(error.get("error_code", status.get("state")))
    if _CONFLICT_PREFIX in str(error.get("message", "")):
        return _ConflictError("Otros están cambiando la misma tabla.", hint="Repita en un momento.")
    if code in _TRANSIENT_ERRORS or status.get("state") != "FAILED":
        return UnavailableError(
            f"Databricks no terminó la consulta ({code}).", hint="Repita en un momento."
        )
    first, *_ = [
        *str(error.get("message", "")).strip().splitlines(),
        "",
    ]  # what follows is the statement and its plan
    return DatabricksRefusedError(200, code, first[:_MAX_ERROR_CHARACTERS])


def _sql_parameter(name: str, value: SqlValue) -> dict[str, Any]:
    """A value as the API takes it, as text with its type; null has no value."""
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
