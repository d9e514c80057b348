"""The Statement Execution API: statements, how they stand, their results chunk by chunk."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cloud.workspace.route import Answer, Call, Route, build_route, error_answer
from tests.cloud.workspace.sql import Parameter, Sql, SqlError, TextRow

_PATH: Final = "/api/2.0/sql/statements"
_ID: Final = "(?P<id>[^/]+)"

_ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELED"})


@dataclass
class _Statement:
    """A statement that was taken. ``looks`` is how many more answers say that it has not ended."""

    text: str
    catalog: str
    parameters: Sequence[Parameter]
    looks: int
    chunk_rows: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "PENDING"
    error: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[TextRow] = ()
    running: Future[None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def move(self, state: str) -> bool:
        """Change the state, unless the statement has ended; tell whether it was changed."""
        with self._lock:
            moved = self.state not in _ENDED
            self.state = state if moved else self.state
            return moved

    def chunk(self, number: int) -> dict[str, Any]:
        """Return a chunk of the result, with the number of the next; without rows past the end."""
        start = number * self.chunk_rows
        rows = [list(row) for row in self.rows[start : start + self.chunk_rows]]
        chunk: dict[str, Any] = {"chunk_index": number, "row_offset": start, "data_array": rows}
        if start + self.chunk_rows < len(self.rows):
            chunk["next_chunk_index"] = number + 1
        return chunk


class StatementApi:
    """Runs statements on the warehouse ``warehouse``, over the Parquet folders below ``tables``.

    ``chunk_rows`` is how many rows a chunk of a result has at most; ``looks`` how many answers say
    of a statement that it has not ended before it is begun. ``/admin/statements`` sets both, for
    statements that come later.
    """

    def __init__(self, tables: Path, *, warehouse: str) -> None:
        self.chunk_rows, self.looks = 1_000, 0
        self._warehouse = warehouse
        self._sql = Sql(tables)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warehouse")
        self._statements: dict[str, _Statement] = {}
        self._threads.submit(self._sql.start)

    def routes(self) -> Sequence[Route]:
        return (
            build_route("POST", f"{_PATH}/?", self.execute),
            build_route("GET", f"{_PATH}/{_ID}", self.look),
            build_route("POST", f"{_PATH}/{_ID}/cancel", self.cancel),
            build_route("GET", rf"{_PATH}/{_ID}/result/chunks/(?P<chunk>\d+)", self.chunk),
            build_route("POST", "/admin/statements", self.set),
        )

    def set(self, call: Call) -> Answer:
        """What a test sets for the statements that come."""
        self.chunk_rows, self.looks = int(call.body["chunk_rows"]), int(call.body["looks"])
        return 200, {}

    def close(self) -> None:
        """End what runs, and Spark."""
        self._threads.shutdown(cancel_futures=True)
        self._sql.close()

    def execute(self, call: Call) -> Answer:
        if call.body.get("warehouse_id") != self._warehouse:
            said = f"{call.body.get('warehouse_id')} is not a valid endpoint id."
            return error_answer(400, "INVALID_PARAMETER_VALUE", said)
        parameters = [
            Parameter(each["name"], each.get("value"), each.get("type") or "STRING")
            for each in call.body.get("parameters") or ()
        ]
        text, catalog = call.body["statement"], call.body.get("catalog") or ""
        statement = _Statement(text, catalog, parameters, self.looks, self.chunk_rows)
        self._statements[statement.id] = statement
        self._advance(statement, int(str(call.body.get("wait_timeout") or "10s").removesuffix("s")))
        return 200, _document(statement)

    def look(self, call: Call) -> Answer:
        if statement := self._statements.get(call.match["id"]):
            self._advance(statement, 0)
            return 200, _document(statement)
        return _unknown(call.match["id"])

    def cancel(self, call: Call) -> Answer:
        """Cancel a statement: one that runs may still change what it changes."""
        if statement := self._statements.get(call.match["id"]):
            statement.move("CANCELED")
            return 200, {}
        return _unknown(call.match["id"])

    def chunk(self, call: Call) -> Answer:
        if statement := self._statements.get(call.match["id"]):
            return 200, statement.chunk(int(call.match["chunk"]))
        return _unknown(call.match["id"])

    def _advance(self, statement: _Statement, wait: float) -> None:
        """Poll a statement: it starts after enough polls, and is waited for so many seconds."""
        if statement.looks > 0:
            statement.looks -= 1
            return
        if statement.running is None and statement.state not in _ENDED:
            statement.running = self._threads.submit(self._run, statement)
        if statement.running is not None:
            with suppress(TimeoutError, CancelledError):
                statement.running.result(wait)

    def _run(self, statement: _Statement) -> None:
        if not statement.move("RUNNING"):
            return
        try:
            statement.rows = self._sql.run(statement.text, statement.parameters, statement.catalog)
        except SqlError as error:
            statement.error = {"error_code": "BAD_REQUEST", "message": str(error)}
        except Exception as error:  # the statement failed, the warehouse goes on
            statement.error = {"error_code": "INTERNAL_ERROR", "message": repr(error)}
        statement.move("FAILED" if statement.error else "SUCCEEDED")


def _document(statement: _Statement) -> dict[str, Any]:
    """A statement as the API tells it."""
    status: dict[str, Any] = {"state": statement.state}
    told: dict[str, Any] = {"statement_id": statement.id, "status": status}
    if statement.state == "FAILED":
        status["error"] = dict(statement.error)
    if statement.state == "SUCCEEDED":
        told["result"] = statement.chunk(0)
    return told


def _unknown(statement_id: str) -> Answer:
    return error_answer(404, "NOT_FOUND", f"The statement {statement_id} was not found.")
