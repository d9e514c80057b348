"""Configurations: changed one at a time, never over what somebody else wrote meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import CONFIGURATIONS

PATH = "/configuraciones"
WHOLE: dict[str, Any] = {
    "tipo_inventario": "SPP",
    "monto_deseado": 750_000.5,
    **{group.switch_label: n % 2 == 0 for n, group in enumerate(PRODUCT_GROUPS)},
}


def stored(client: TestClient) -> dict[str, dict[str, Any]]:
    return {row["mostrador"]: row for row in client.get(PATH).json()["configuraciones"]}


def test_a_configuration_is_told_by_the_labels_people_read_and_its_version(
    writer: TestClient,
) -> None:
    answer = writer.get(f"{PATH}/0002")
    shown = answer.json()
    assert list(shown) == [*CONFIGURATIONS.names, "version"]
    assert shown["mostrador"] == "2"
    assert shown["tipo_inventario"] == "IPP"
    assert shown["monto_deseado"] == 950_000.0
    assert answer.headers["etag"] == f'"{shown["version"]}"'


def test_what_was_created_is_what_validation_looks_for(writer: TestClient) -> None:
    answer = writer.post(PATH, json={"mostrador": "003"})
    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/3")
    assert answer.json() == writer.get(f"{PATH}/3").json()
    assert answer.json() | {"version": ""} == {
        "mostrador": "3", "tipo_inventario": "SPP", "monto_deseado": None,
        "fecha_actualizacion": "2026-07-01", "version": "",
        **{group.switch_label: True for group in PRODUCT_GROUPS},
    }  # fmt: skip
    valid = writer.post("/ipp/validate-clients", json={"mostradores": [1, 2, 3, 12]}).json()[
        "validClients"
    ]
    assert valid == ["1", "2", "3"]


def test_a_mostrador_has_one_configuration(writer: TestClient) -> None:
    answer = writer.post(PATH, json={"mostrador": 1})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:ipp:problema:ya_configurado")
    assert "PUT /configuraciones/1" in answer.json()["detail"]


def test_a_mostrador_that_is_not_there_cannot_have_one(writer: TestClient) -> None:
    answer = writer.post(PATH, json={"mostrador": 99})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:ipp:problema:mostrador_desconocido"
    assert set(stored(writer)) == {"1", "2"}


def test_a_change_is_dated_and_of_one_row_alone(writer: TestClient) -> None:
    before = stored(writer)
    answer = writer.put(f"{PATH}/1", json=WHOLE)
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    after = stored(writer)
    assert after["1"] == answer.json()
    assert {name: after["1"][name] for name in WHOLE} == WHOLE
    assert after["1"]["fecha_actualizacion"] == "2026-07-01"
    assert after["1"]["version"] != before["1"]["version"]
    assert after["2"] == before["2"]


def test_taking_away_is_of_one_row_alone(writer: TestClient) -> None:
    assert (writer.delete(f"{PATH}/1").status_code, set(stored(writer))) == (204, {"2"})
    assert writer.delete(f"{PATH}/1").status_code == 404
    assert writer.delete(f"{PATH}/2").status_code == 204
    assert writer.get(PATH).json() == {"total": 0, "configuraciones": [], "next_cursor": None}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("mostrador", "status"), [("3", 404), ("abc", 400), ("12345678901", 400), ("1.5", 400)]
)
def test_what_is_not_there_is_said(
    writer: TestClient, method: str, mostrador: str, status: int
) -> None:
    answer = writer.request(method, f"{PATH}/{mostrador}", json=WHOLE if method == "PUT" else None)
    assert answer.status_code == status
    assert mostrador in answer.json()["instance"]
    assert set(stored(writer)) == {"1", "2"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_somebody_changed_meanwhile_is_not_written_over(
    writer: TestClient, method: str
) -> None:
    seen = writer.get(f"{PATH}/1").headers["etag"]
    assert writer.put(f"{PATH}/1", json=WHOLE, headers={"if-match": seen}).status_code == 200
    body = WHOLE | {"monto_deseado": 1.0} if method == "PUT" else None
    answer = writer.request(method, f"{PATH}/1", json=body, headers={"if-match": seen})
    assert answer.status_code == 412
    assert answer.json()["type"] == "urn:ipp:problema:configuracion_cambiada"
    assert stored(writer)["1"]["monto_deseado"] == WHOLE["monto_deseado"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_version_that_was_seen_may_be_changed(writer: TestClient, form: str) -> None:
    seen = form.format(writer.get(f"{PATH}/1").headers["etag"])
    assert writer.put(f"{PATH}/1", json=WHOLE, headers={"if-match": seen}).status_code == 200


def test_of_many_at_once_with_one_version_one_changes_it(writer: TestClient) -> None:
    seen = writer.get(f"{PATH}/1").headers["etag"]

    def change(amount: int) -> int:
        body = WHOLE | {"monto_deseado": amount}
        return writer.put(f"{PATH}/1", json=body, headers={"if-match": seen}).status_code

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(change, range(1, 7))) == [200, 412, 412, 412, 412, 412]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"monto_deseado": 0}, "debe ser al menos 0.01"),
        ({"monto_deseado": 1e13}, "debe ser a lo más 1,000,000,000,000"),
        ({"monto_deseado": "950000"}, "debe ser un número"),
        ({"monto_deseado": True}, "debe ser un número"),
        ({"tipo_inventario": "XYZ"}, "no es un valor posible"),
        ({"tipo_inventario": None}, "no es un valor posible"),
        ({"incluye_otc": "sí"}, "debe ser true o false"),
        ({"incluye_otc": 1}, "debe ser true o false"),
        ({"version": "x"}, "no se conoce este campo"),
        ({"fecha_actualizacion": "2020-01-01"}, "no se conoce este campo"),
    ],
)
def test_a_field_that_is_not_as_the_contract_says_is_named(
    writer: TestClient, wrong: dict[str, Any], reason: str
) -> None:
    (field,) = wrong
    for answer in (
        writer.put(f"{PATH}/1", json=WHOLE | wrong),
        writer.post(PATH, json={"mostrador": 3} | WHOLE | wrong),
    ):
        assert answer.status_code == 400
        assert answer.json()["errors"] == [{"field": field, "reason": reason}]
    assert "3" not in stored(writer)


@pytest.mark.parametrize("field", WHOLE)
def test_a_change_leaves_nothing_to_be_guessed(writer: TestClient, field: str) -> None:
    body = {name: value for name, value in WHOLE.items() if name != field}
    answer = writer.put(f"{PATH}/1", json=body)
    assert answer.json()["errors"] == [{"field": field, "reason": "falta"}]


@pytest.mark.parametrize("mostrador", [None, True, 1.0, "", "x", [], -1, 0, "1 OR 1=1", 10**10])
def test_a_mostrador_is_a_number_of_up_to_ten_digits(writer: TestClient, mostrador: Any) -> None:
    answer = writer.post(PATH, json={"mostrador": mostrador})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "mostrador")


def test_the_list_is_searched_page_by_page(writer: TestClient) -> None:
    writer.post(PATH, json={"mostrador": 12})
    first = writer.get(PATH, params={"q": "2", "limit": 1}).json()
    last = writer.get(PATH, params={"q": "2", "limit": 1, "cursor": first["next_cursor"]}).json()
    assert [first["total"], last["total"], last["next_cursor"]] == [2, 2, None]
    shown = first["configuraciones"] + last["configuraciones"]
    assert [row["mostrador"] for row in shown] == ["2", "12"]


def test_a_page_goes_on_where_the_one_before_ended_whatever_was_taken_away(
    writer: TestClient,
) -> None:
    writer.post(PATH, json={"mostrador": 3})
    cursor = writer.get(PATH, params={"limit": 1}).json()["next_cursor"]
    writer.delete(f"{PATH}/1")
    page = writer.get(PATH, params={"limit": 1, "cursor": cursor}).json()
    assert [row["mostrador"] for row in page["configuraciones"]] == ["2"]


@pytest.mark.parametrize(
    ("asked", "who"),
    [({"q": "1"}, "ana"), ({}, "beto"), ({"cursor": "eyJ9"}, "ana")],
    ids=["q", "caller", "edited"],
)
def test_a_cursor_of_another_list_is_refused(
    writer: TestClient, asked: dict[str, str], who: str
) -> None:
    cursor = writer.get(PATH, params={"limit": 1}).json()["next_cursor"]
    answer = writer.get(PATH, params={"cursor": cursor} | asked, headers={"x-user": who})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "cursor")
