"""The list of changes over HTTP: what it tells, how it is paged, and who may read it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ipp.server.api.change_routes import start_of_day

BODY = {"mostrador": 3, "monto_deseado": 5_000}


def change(client: TestClient, mostrador: int, amount: float, user: str = "ana") -> None:
    body = client.get(f"/configuraciones/{mostrador}").json()
    kept = {
        name: value
        for name, value in body.items()
        if name not in {"mostrador", "version", "fecha_actualizacion"}
    }
    client.put(
        f"/configuraciones/{mostrador}",
        json={**kept, "monto_deseado": amount},
        headers={"x-user": user},
    ).raise_for_status()


def changes(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/cambios", params=query)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["cambios"]
    return found


def test_each_change_names_its_caller_its_door_and_both_rows(writer: TestClient) -> None:
    writer.post("/configuraciones", json=BODY).raise_for_status()
    change(writer, 3, 7_000, user="beto")
    writer.delete("/configuraciones/3").raise_for_status()
    deleted, changed, created = changes(writer)
    assert [one["operacion"] for one in (created, changed, deleted)] == [
        "crear",
        "cambiar",
        "borrar",
    ]
    assert (changed["sub"], changed["quien"], changed["puerta"]) == ("beto", "Beto", "http")
    assert (changed["antes"]["monto_deseado"], changed["despues"]["monto_deseado"]) == (
        5_000,
        7_000,
    )
    assert created["antes"] is None
    assert deleted["despues"] is None
    assert deleted["antes"] == changed["despues"]
    assert {one["clave"] for one in (created, changed, deleted)} == {"3"}


def test_what_was_refused_leaves_no_change(writer: TestClient) -> None:
    assert writer.post("/configuraciones", json={"mostrador": 1}).status_code == 409
    assert writer.delete("/configuraciones/2", headers={"if-match": '"no"'}).status_code == 412
    assert writer.delete("/configuraciones/2", headers={"x-user": "lector"}).status_code == 403
    assert changes(writer) == []


def test_pages_follow_each_other_whatever_is_changed_meanwhile(writer: TestClient) -> None:
    for amount in range(1, 8):
        change(writer, 1, amount)
    seen, cursor = [], None
    for _ in range(4):
        page = writer.get("/cambios", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        seen += [one["despues"]["monto_deseado"] for one in page.json()["cambios"]]
        cursor = page.json()["next_cursor"]
        change(writer, 2, 99)
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert cursor is None


def test_a_cursor_is_of_its_caller_and_its_query(writer: TestClient) -> None:
    for amount in (1, 2):
        change(writer, 1, amount)
    cursor = writer.get("/cambios", params={"limit": 1}).json()["next_cursor"]
    for query, user in (
        ({"cursor": cursor, "q": "x"}, "ana"),
        ({"cursor": cursor}, "beto"),
        ({"cursor": "nada"}, "ana"),
    ):
        answer = writer.get("/cambios", params=query, headers={"x-user": user})
        assert answer.status_code == 400


def test_whoever_is_in_no_group_reads_them(writer: TestClient) -> None:
    change(writer, 1, 5)
    change(writer, 2, 6)
    writer.headers["x-user"] = "lector"
    assert len(changes(writer)) == 2
    assert [one["clave"] for one in changes(writer, mostrador="001")] == ["1"]
    assert [one["clave"] for one in changes(writer, q="6.0")] == ["2"]
    assert changes(writer, objeto="sellout") == []
    assert writer.get("/cambios", params={"objeto": "otra"}).status_code == 400
    for text in ("0", "20260701", "2026-02-30", "ayer"):
        assert writer.get("/cambios", params={"desde": text}).status_code == 400
    assert (
        changes(
            writer, desde=(dt.datetime.now().astimezone().date() + dt.timedelta(days=2)).isoformat()
        )
        == []
    )
    assert len(changes(writer, desde=dt.datetime.now().astimezone().date().isoformat())) == 2


@pytest.mark.parametrize("day", [dt.date.min, dt.date(2026, 7, 1), dt.date.max])
def test_every_day_has_a_start(day: dt.date) -> None:
    assert abs(dt.date.fromisoformat(start_of_day(day)[:10]).toordinal() - day.toordinal()) <= 1
