"""The Statement Execution API: statements, how they stand, their results chunk by chunk."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cloud.workspace.result import Result
from tests.cloud.workspace.route import Answer, Route, refusal, route
from tests.cloud.workspace.sql import AbandonedError, Parameter, Sql, SqlError

_PATH: Final = "/api/2.0/sql/statements"
_ID: Final = "(?P<id>[^/]+)"

_WAIT: Final = re.compile(r"0s|([5-9]|[1-4][0-9]|50)s")

_KEPT: Final = 2_000
"""Statements that are remembered."""

_ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELED"})


@dataclass
class _Statement:
    """A statement that was taken. ``looks`` is how many more answers say that it has not ended."""

    text: str
    parameters: Sequence[Parameter]
    looks: int
    chunk_rows: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = "PENDING"
    error: Mapping[str, str] = field(default_factory=dict)
    sql_state: str = ""
    result: Result | None = None
    running: Future[None] | None = None
    looked: bool = False
    _committed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    def begin(self) -> bool:
        """Say that it runs, unless it was cancelled."""
        with self._lock:
            if not self.ended:
                self.state = "RUNNING"
            return not self.ended

    def commit(self, do: Callable[[], None]) -> None:
        """Do it, unless the statement was cancelled: then it is never done."""
        with self._lock:
            if self.ended:
                raise AbandonedError
            do()
            self._committed = True

    def cancel(self) -> None:
        """It does nothing any more, unless it has."""
        with self._lock:
            if not self.ended and not self._committed:
                self.state = "CANCELED"

    def succeed(self, result: Result) -> None:
        with self._lock:
            if not self.ended:
                self.state, self.result = "SUCCEEDED", result

    def fail(self, error_code: str, message: str, sql_state: str) -> None:
        with self._lock:
            if not self.ended:
                self.error, self.sql_state = (
                    {"error_code": error_code, "message": message},
                    sql_state,
                )
                self.state = "FAILED"


class StatementApi:
    """Runs statements on the warehouse ``warehouse``, over the Parquet folders below ``tables``.

    ``chunk_rows`` is how many rows a chunk of a result has at most; ``looks`` how many answers say
    of a statement that it has not ended before it is begun. ``/admin/statements`` sets both, for
    statements that come later.
    """

    def __init__(
        self, tables: Path, *, warehouse: str, chunk_rows: int = 1_000, looks: int = 0
    ) -> None:
        self.chunk_rows = chunk_rows
        self.looks = looks
        self._warehouse = warehouse
        self._sql = Sql(tables)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warehouse")
        self._statements: dict[str, _Statement] = {}
        self._threads.submit(self._sql.start)

    def routes(self) -> Sequence[Route]:
        return (
            route("POST", f"{_PATH}/?", self.execute),
            route("GET", f"{_PATH}/{_ID}", self.look),
            route("POST", f"{_PATH}/{_ID}/cancel", self.cancel),
            route("GET", rf"{_PATH}/{_ID}/result/chunks/(?P<chunk>\d+)", self.chunk),
            route("POST", "/admin/statements", self.set),
        )

    def set(
        self, _match: re.Match[str], _query: Mapping[str, str], body: Mapping[str, Any]
    ) -> Answer:
        """What a test sets for the statements that come."""
        self.chunk_rows, self.looks = int(body["chunk_rows"]), int(body["looks"])
        return 200, {}

    def close(self) -> None:
        """End what runs, and Spark."""
        self._threads.shutdown(cancel_futures=True)
        self._sql.close()

    def execute(
        self, _match: re.Match[str], _query: Mapping[str, str], body: Mapping[str, Any]
    ) -> Answer:
        if wrong := self._wrong(body):
            return wrong
        parameters = [
            Parameter(each["name"], each.get("value"), each.get("type") or "STRING")
            for each in body.get("parameters") or ()
        ]
        statement = _Statement(body["statement"], parameters, self.looks, self.chunk_rows)
        self._statements[statement.id] = statement
        while len(self._statements) > _KEPT:
            del self._statements[next(iter(self._statements))]
        wait = int(str(body.get("wait_timeout") or "10s").removesuffix("s"))
        self._advance(statement, wait)
        if wait and body.get("on_wait_timeout") == "CANCEL":
            statement.cancel()
        return 200, _document(statement)

    def look(
        self, match: re.Match[str], _query: Mapping[str, str], _body: Mapping[str, Any]
    ) -> Answer:
        statement = self._statements.get(match["id"])
        if statement is None:
            return _unknown(match["id"])
        self._advance(statement, 0)
        return 200, _document(statement)

    def cancel(
        self, match: re.Match[str], _query: Mapping[str, str], _body: Mapping[str, Any]
    ) -> Answer:
        statement = self._statements.get(match["id"])
        if statement is None:
            return _unknown(match["id"])
        statement.cancel()
        return 200, {}

    def chunk(
        self, match: re.Match[str], _query: Mapping[str, str], _body: Mapping[str, Any]
    ) -> Answer:
        statement = self._statements.get(match["id"])
        if statement is None:
            return _unknown(match["id"])
        if statement.result is None:
            return refusal(
                400, "INVALID_STATE", f"The statement {statement.id} is {statement.state}."
            )
        chunk = statement.result.chunk(int(match["chunk"]))
        if chunk is None:
            return refusal(400, "INVALID_PARAMETER_VALUE", f"There is no chunk {match['chunk']}.")
        return 200, chunk

    def _wrong(self, body: Mapping[str, Any]) -> Answer | None:
        """Why a request is not taken at all."""
        wrong = None
        if not isinstance(body.get("statement"), str) or not body["statement"].strip():
            wrong = "statement must be set."
        elif body.get("warehouse_id") != self._warehouse:
            wrong = f"{body.get('warehouse_id')} is not a valid endpoint id."
        elif not _WAIT.fullmatch(str(body.get("wait_timeout") or "10s")):
            wrong = "wait_timeout is 0s, or between 5s and 50s."
        elif body.get("on_wait_timeout", "CONTINUE") not in {"CONTINUE", "CANCEL"}:
            wrong = "on_wait_timeout is CONTINUE or CANCEL."
        elif (body.get("disposition", "INLINE"), body.get("format", "JSON_ARRAY")) != (
            "INLINE",
            "JSON_ARRAY",
        ):
            wrong = "This workspace gives results INLINE and as JSON_ARRAY."
        elif not all(_is_parameter(each) for each in body.get("parameters") or ()):
            wrong = "A parameter has a name, and a value that is a string."
        return refusal(400, "INVALID_PARAMETER_VALUE", wrong) if wrong else None

    def _advance(self, statement: _Statement, wait: float) -> None:
        """Poll a statement: it starts after enough polls, and is waited for so many seconds."""
        if statement.looks > 0 and not statement.ended:
            statement.looks -= 1
            if statement.looked:
                statement.begin()
            statement.looked = True
            return
        if statement.running is None and not statement.ended:
            statement.running = self._threads.submit(self._run, statement)
        if statement.running is not None:
            with suppress(TimeoutError, CancelledError):
                statement.running.result(wait)

    def _run(self, statement: _Statement) -> None:
        if not statement.begin():
            return
        try:
            found = self._sql.run(statement.text, statement.parameters, statement.commit)
        except AbandonedError:
            return
        except SqlError as error:
            statement.fail("BAD_REQUEST", str(error), error.state)
            return
        except Exception as error:  # the statement failed, the warehouse goes on
            statement.fail("INTERNAL_ERROR", repr(error), "XX000")
            return
        result = Result(statement.id, found, statement.chunk_rows)
        if result.too_large:
            statement.fail(
                "BAD_REQUEST",
                "Inline byte limit exceeded. Use the disposition EXTERNAL_LINKS.",
                "54000",
            )
        statement.succeed(result)


def _is_parameter(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and isinstance(value.get("value"), str | None)
        and isinstance(value.get("type"), str | None)
    )


def _document(statement: _Statement) -> dict[str, Any]:
    """A statement as the API tells it."""
    status: dict[str, Any] = {"state": statement.state}
    told: dict[str, Any] = {"statement_id": statement.id, "status": status}
    if statement.state == "FAILED":
        status |= {"error": dict(statement.error), "sql_state": statement.sql_state}
    if statement.state == "SUCCEEDED" and statement.result is not None:
        told |= {"manifest": statement.result.manifest(), "result": statement.result.chunk(0) or {}}
    return told


def _unknown(statement_id: str) -> Answer:
    return refusal(404, "NOT_FOUND", f"The statement {statement_id} was not found.")
