"""Files of a job: what is read back is what was published, and nothing in it runs."""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from types import NoneType
from typing import Any

import openpyxl
import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from polars.testing import assert_frame_equal

from ipp.core.contract import Kind
from ipp.core.tables import RESULTS
from ipp.formats.exports import table_export
from ipp.formats.exports.export import ExportFormat
from ipp.formats.exports.table_export import ORDER_NOTE, WORKBOOK_TABLE
from ipp.server.api import download_routes
from tests.unit.server.api.conftest import DONE, MOSTRADORES
from tests.waiting import PATIENCE_SECONDS, wait_until

FILE = f"/ipp/results/{DONE}/download"
LABELS = dict(RESULTS.labels)
RUNS = {"=HYPERLINK(1)", "  =1+1", "\n=1+1", "-2+A1", "@SUM(A1)"}


@pytest.fixture(autouse=True)
def scratch(
    published_app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Where files are made; no test may leave anything in it, nor in the system's own folder."""
    ours, systems = tmp_path / "ours", tmp_path / "systems"
    ours.mkdir()
    systems.mkdir(mode=0o500)
    monkeypatch.setattr(tempfile, "tempdir", str(systems))
    monkeypatch.setattr(published_app.state.scratch, "_root", ours)
    yield ours
    assert [*ours.iterdir(), *systems.iterdir()] == []


def fetched(client: TestClient, **asked: Any) -> bytes:
    answer = client.get(FILE, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.content


def shown(table: pl.DataFrame) -> pl.DataFrame:
    """The table as a csv says it: by its labels, with an apostrophe before what would run."""
    return table.with_columns(
        pl.when(pl.col("description").is_in(RUNS))
        .then("'" + pl.col("description"))
        .otherwise("description")
        .alias("description")
    ).rename(LABELS)


@pytest.mark.parametrize(("locale", "separator"), [(None, ","), ("mx", ","), ("es", ";")])
def test_a_csv_read_back_is_the_table(
    reader: TestClient, table: pl.DataFrame, locale: str | None, separator: str
) -> None:
    content = fetched(reader, **({"locale": locale} if locale else {}))
    assert content.startswith("\ufeffjob_id".encode())
    assert (b"37,5" in content) == (separator == ";"), "a price has the mark of its country"
    schema = {column.label: column.dtype for column in RESULTS.columns}
    back = pl.read_csv(content, separator=separator, decimal_comma=separator == ";", schema=schema)
    assert_frame_equal(back, shown(table))


def test_a_workbook_holds_the_rows_and_no_formula(reader: TestClient, table: pl.DataFrame) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(fetched(reader, format="xlsx"))).active
    assert sheet is not None
    head, *rows = sheet.iter_rows()
    assert [cell.value for cell in head] == list(WORKBOOK_TABLE.names)
    assert [name for name in WORKBOOK_TABLE.names if name != ORDER_NOTE.label] == list(
        RESULTS.names
    )
    assert not {cell.data_type for row in rows for cell in row} & {"f", "e"}
    position = list(WORKBOOK_TABLE.names).index("descripcion")
    assert [row[position].value for row in rows] == table["description"].to_list()
    numbers = [n for n, column in enumerate(WORKBOOK_TABLE.columns) if column.kind is Kind.NUMBER]
    assert {cell.data_type for row in rows for cell in (row[n] for n in numbers)} == {"n"}


@pytest.mark.parametrize("mostrador", [None, MOSTRADORES[1]])
def test_a_parquet_is_the_table_as_it_is(
    reader: TestClient, table: pl.DataFrame, mostrador: int | None
) -> None:
    asked = {} if mostrador is None else {"mostrador": mostrador}
    back = pl.read_parquet(io.BytesIO(fetched(reader, format="parquet", **asked)))
    mine = table.filter(pl.col("mostrador").is_in([mostrador or MOSTRADORES[0], MOSTRADORES[1]]))
    assert_frame_equal(back, mine.rename(LABELS))


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_file_is_named_after_what_is_in_it(reader: TestClient, kind: str) -> None:
    for asked, name in (({}, DONE), ({"mostrador": "07051603"}, f"{DONE}-7051603")):
        answer = reader.get(FILE, params={"format": kind, **asked})
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.{kind}"'
        assert answer.headers["content-type"] == ExportFormat(kind).media_type


def test_more_rows_than_a_sheet_holds_are_refused_with_what_to_do(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_export, "MAX_SHEET_ROWS", 20)
    answer = reader.get(FILE, params={"format": "xlsx"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "format")
    assert "Pida un mostrador a la vez, o csv" in answer.json()["detail"]
    assert fetched(reader, format="xlsx", mostrador=MOSTRADORES[0])
    assert fetched(reader, format="csv")


@pytest.mark.parametrize(
    "wrong", [{"format": "pdf"}, {"locale": "fr"}, {"format": "../../etc/passwd"}]
)
def test_what_there_is_not_is_named(reader: TestClient, wrong: dict[str, str]) -> None:
    answer = reader.get(FILE, params=wrong)
    assert (answer.status_code, [e["field"] for e in answer.json()["errors"]]) == (400, list(wrong))


@pytest.mark.parametrize(
    "asked", ["bytes=0-9", "bytes=5-", "bytes=9-1", "nonsense", "bytes=999999999-"]
)
def test_a_file_comes_whole_whatever_range_is_asked_for(reader: TestClient, asked: str) -> None:
    answer = reader.get(FILE, headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, fetched(reader))


class Leaver:
    """A client that asks for a file and leaves at a ``moment`` of the answer, loudly or silently.

    ``made`` tells whether there was something in ``scratch`` just then.
    """

    def __init__(self, moment: str, scratch: Path, *, loud: bool) -> None:
        self.made = False
        self._scratch = scratch
        self._moment = moment
        self._loud = loud
        self._asked = False
        self.gone = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        if self._asked:
            await self.gone.wait()
        if self.gone.is_set():
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == self._moment and not self.gone.is_set():
            self.made = any(self._scratch.iterdir())
            self.gone.set()
            if self._loud:
                raise OSError("the client went away")
            await asyncio.Event().wait()


def scope(version: str) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": version}, "http_version": "1.1",
        "method": "GET", "path": FILE, "raw_path": FILE.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "headers": [], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip


@pytest.mark.parametrize("moment", ["http.response.start", "http.response.body"])
@pytest.mark.parametrize("version", ["2.3", "2.4"])
@pytest.mark.parametrize("loud", [True, False])
def test_nothing_is_left_when_the_client_goes_away(
    published_app: FastAPI, scratch: Path, moment: str, version: str, loud: bool
) -> None:
    async def run() -> bool:
        client = Leaver(moment, scratch, loud=loud)
        task = asyncio.ensure_future(published_app(scope(version), client.receive, client.send))
        await client.gone.wait()
        task.cancel()
        await asyncio.wait([task])
        return client.made and (
            task.cancelled() or isinstance(task.exception(), (OSError, NoneType))
        )

    assert asyncio.run(run())


@pytest.mark.parametrize("wait", [True, False])
def test_few_files_are_made_at_a_time_and_none_for_who_has_gone(
    published_app: FastAPI, scratch: Path, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    write, go = table_export.write_export, threading.Event()
    begun: list[int] = []

    def held(*given: Any) -> Path:
        begun.append(1)
        go.wait(PATIENCE_SECONDS)
        return write(*given)

    async def run() -> tuple[int, int]:
        clients = [
            Leaver("never", scratch, loud=False)
            for _ in range(download_routes.CONCURRENT_EXPORTS + 3)
        ]
        calls = [published_app(scope("2.3"), client.receive, client.send) for client in clients]
        answers = asyncio.gather(*calls)
        await asyncio.to_thread(
            wait_until,
            lambda: len(begun),
            lambda count: count >= download_routes.CONCURRENT_EXPORTS,
        )
        await asyncio.sleep(0.5)  # for one more than there may be
        at_once = len(begun)
        for client in clients:
            if not wait:
                client.gone.set()
        go.set()
        await answers
        return at_once, len(begun)

    monkeypatch.setattr(table_export, "write_export", held)
    assert asyncio.run(run()) == (
        download_routes.CONCURRENT_EXPORTS,
        download_routes.CONCURRENT_EXPORTS + (3 if wait else 0),
    )
