"""SQL statements on a Databricks warehouse: parameters by name, waited for within a budget, read chunk by chunk."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ipp.cloud.databricks.client import DatabricksClient, DatabricksRefusal
from ipp.errors import BusyError, IppError, UnavailableError

_STATEMENTS: Final = "/api/2.0/sql/statements"

WAITED: Final = 20.0
"""Seconds that a statement may take: whoever asks waits 29 at most."""

_AT_ONCE: Final = "5s"
"""How long the workspace itself waits before it answers that a statement still runs: less than its client does."""

_LOOKS: Final = 200
"""Most looks at a statement that runs, and most chunks of an answer."""

_LONGEST: Final = 300
"""Characters that are kept of why a statement failed."""

_TURNS: Final = 4
"""How often a change is tried that others were ahead of."""

_PASSING: Final = frozenset(
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

_OVERTAKEN: Final = "[DELTA_CONCURRENT_"
"""How Delta's words begin for a change that was not made, because another was made to what it had read."""

Value = str | int | float | bool | dt.date | None
Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``:name`` wherever a value goes, and the values. ``safe`` tells that doing it twice does it once."""

    sql: str
    values: Mapping[str, Value]
    safe: bool = True


class Statements:
    """Runs statements on the warehouse of a workspace. ``clock`` gives seconds that only rise, ``sleep`` waits."""

    def __init__(
        self,
        client: DatabricksClient,
        warehouse: str,
        *,
        waited: float = WAITED,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._warehouse = warehouse
        self._waited = waited
        self._clock = clock
        self._sleep = sleep

    def rows(self, statement: Statement, columns: Sequence[tuple[str, Read]]) -> list[dict[str, Any]]:
        """What a query gives: for each column in order its name here and how its text is read.

        Raises `UnavailableError`, or `DatabricksRefusal` for a statement that the workspace does not take.
        """
        names = [name for name, _ in columns]
        reads = [read for _, read in columns]
        return [
            dict(
                zip(
                    names,
                    (None if cell is None else read(cell) for read, cell in zip(reads, row, strict=True)),
                    strict=True,
                )
            )
            for row in self._cells(self._run(statement, self._client.until(self._waited)))
        ]

    def changed(self, statement: Statement) -> int:
        """How many rows an INSERT, UPDATE or DELETE changed.

        Raises as `rows`, and `BusyError` where others are always ahead.
        """
        until = self._client.until(self._waited)
        for _ in range(_TURNS):
            try:
                found = list(self._cells(self._run(statement, until)))
            except _OvertakenError:
                continue
            if not found or found[0][0] is None:
                raise UnavailableError("Databricks no dijo cuántos renglones cambió.", hint="Revise si el cambio está.")
            return int(found[0][0])
        raise BusyError("Otros están cambiando la misma tabla.", hint="Espere un momento y repita.")

    def _run(self, statement: Statement, until: float) -> Mapping[str, Any]:
        """The answer of a statement that succeeded, with its first chunk."""
        body = {
            "warehouse_id": self._warehouse,
            "statement": statement.sql,
            "parameters": [_parameter(name, value) for name, value in statement.values.items()],
            "wait_timeout": _AT_ONCE,
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
        }
        answer = self._client.post(_STATEMENTS, body, safe=statement.safe)
        if not answer.get("statement_id"):
            raise UnavailableError("Databricks no dijo qué consulta empezó.", hint="Repita en un momento.")
        path = f"{_STATEMENTS}/{answer['statement_id']}"
        for look in range(_LOOKS):
            status = answer.get("status") or {}
            match status.get("state"):
                case "SUCCEEDED":
                    return answer
                case "FAILED" | "CANCELED" | "CLOSED":
                    raise _failure(status)
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

    def _cells(self, answer: Mapping[str, Any]) -> Iterator[Sequence[str | None]]:
        """The rows of an answer as texts, one chunk after the other."""
        chunk: Mapping[str, Any] = answer.get("result") or {}
        for _ in range(_LOOKS):
            yield from chunk.get("data_array") or ()
            following = chunk.get("next_chunk_index")
            if following is None:
                return
            path = f"{_STATEMENTS}/{answer['statement_id']}/result/chunks/{following}"
            chunk = self._client.get(path)
        raise UnavailableError("La respuesta de Databricks no termina.")


class _OvertakenError(UnavailableError):
    """Another change was made first, and this one was not."""


def _failure(status: Mapping[str, Any]) -> UnavailableError | DatabricksRefusal:
    error = status.get("error") or {}
    code = str(error.get("error_code", status.get("state")))
    if _OVERTAKEN in str(error.get("message", "")):
        return _OvertakenError("Otros están cambiando la misma tabla.", hint="Repita en un momento.")
    if code in _PASSING or status.get("state") != "FAILED":
        return UnavailableError(f"Databricks no terminó la consulta ({code}).", hint="Repita en un momento.")
    first, *_ = [*str(error.get("message", "")).strip().splitlines(), ""]  # what follows is the statement and its plan
    return DatabricksRefusal(200, code, first[:_LONGEST])


def _parameter(name: str, value: Value) -> dict[str, Any]:
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
