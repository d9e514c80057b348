"""Configuraciones on the page: nothing typed is lost, no change is overwritten unseen."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.server.web import configuration_pages
from ipp.server.web.page import CONTENT_POLICY
from tests.unit.server.web.form_submission import (
    Form,
    form_of,
    send_form,
    stored_configurations,
    visible_text,
)

SWITCHES = [group.switch_label for group in PRODUCT_GROUPS]


def test_the_list_shows_each_with_its_name_money_and_groups(client: TestClient) -> None:
    page = visible_text(client.get("/ajustes").text)
    assert "2 configuraciones" in page
    assert re.search(r"1 Ánimas SPP — Todos menos: OTC 01/07/2026", page)
    assert re.search(r"2 Centro IPP \$950,000\.00 Todos 01/07/2026", page)


def test_while_one_types_only_the_list_and_the_count_come(client: TestClient) -> None:
    part = client.get("/ajustes", params={"q": "centro"}, headers={"hx-request": "true"}).text
    assert "<html" not in part
    assert re.search(
        r'<hx-partial hx-target="#cuantas"[^>]*>\s*1 configuración\s*</hx-partial>', part
    )


def test_the_list_comes_a_page_at_a_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration_pages, "PAGE_ROWS", 1)
    first = client.get("/ajustes?q=").text
    (more,) = re.findall(r'href="(/ajustes\?q=&amp;cursor=[^"]+)"', first)
    second = client.get(more.replace("&amp;", "&")).text
    assert (">1</a>" in first, ">2</a>" in first) == (True, False)
    assert (">1</a>" in second, ">2</a>" in second, "cursor=" in second) == (False, True, False)


def test_what_is_created_is_what_was_typed(client: TestClient) -> None:
    answer = send_form(
        client, form_of(client, "/ajustes/nueva?mostrador=3"), tipo_inventario="IPP",
        monto_deseado="$1,234.50",
        incluye_otc=None,
    )  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, "/ajustes/3?hecho=creada")
    assert "La configuración se creó." in client.get(answer.headers["location"]).text
    made = stored_configurations(client)["3"]
    assert (made["tipo_inventario"], made["monto_deseado"]) == ("IPP", 1_234.5)
    assert [label for label in SWITCHES if not made[label]] == ["incluye_otc"]


@pytest.mark.parametrize(
    ("mostrador", "status", "said"),
    [
        ("99", 422, "no está en la tabla de mostradores"),
        ("2", 409, "ya tiene configuración"),
        ("x", 400, "no es un número de mostrador"),
        ("", 400, "no es un número de mostrador"),
    ],
)
def test_who_cannot_create_one_keeps_what_was_typed(
    client: TestClient, mostrador: str, status: int, said: str
) -> None:
    before = stored_configurations(client)
    form = form_of(client, "/ajustes/nueva")
    answer = send_form(
        client, form, mostrador=mostrador, monto_deseado="7.00", incluye_genericos=None
    )
    assert (answer.status_code, said in answer.text) == (status, True)
    assert "POST" not in answer.text.upper().replace('METHOD="POST"', "")
    kept = Form(answer.text).fields
    assert kept["mostrador"] == mostrador
    assert kept["monto_deseado"] == "7.00"
    assert "incluye_genericos" not in kept
    assert stored_configurations(client) == before


def test_a_mostrador_without_one_is_offered_one(client: TestClient) -> None:
    answer = client.get("/ajustes/3")
    assert (answer.status_code, "no tiene configuración" in answer.text) == (404, True)
    assert send_form(client, Form(answer.text)).status_code == 303
    assert "3" in stored_configurations(client)


def test_a_form_that_is_not_touched_changes_nothing(client: TestClient) -> None:
    before = stored_configurations(client)
    for mostrador in before:
        assert send_form(client, form_of(client, f"/ajustes/{mostrador}")).status_code == 303
    assert stored_configurations(client) == before


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"monto_deseado": "1,234"}, "puede leerse como 1234 o como 1.234"),
        ({"monto_deseado": "mucho"}, "no es un número: escriba por ejemplo 1234.50"),
        ({"monto_deseado": "0"}, "debe ser al menos 0.01"),
        ({"monto_deseado": "9" * 14}, "debe ser a lo más 1,000,000,000,000"),
        ({"tipo_inventario": "XYZ"}, "no es un valor posible"),
    ],
)
def test_what_is_not_as_it_should_be_is_pointed_at_and_nothing_is_lost(
    client: TestClient, wrong: dict[str, str | None], reason: str
) -> None:
    before = stored_configurations(client)
    form = form_of(client, "/ajustes/2")
    answer = send_form(client, form, incluye_refrigerados=None, **wrong)
    shown = Form(answer.text)
    assert answer.status_code == 400
    assert (shown.wrong, reason in answer.text) == (list(wrong), True)
    assert "incluye_refrigerados" not in shown.fields
    if text := wrong.get("monto_deseado"):
        assert shown.fields["monto_deseado"].replace(",", "").removesuffix(".00") == text.replace(
            ",", ""
        )
    assert stored_configurations(client) == before
    assert send_form(client, shown, monto_deseado="5").status_code == 303
    assert not stored_configurations(client)["2"]["incluye_refrigerados"]


def test_a_form_that_is_refused_still_says_whose_it_is(client: TestClient) -> None:
    mine, deleting, wrong = (
        form_of(client, "/ajustes/2"),
        form_of(client, "/ajustes/2/borrar"),
        {"monto_deseado": "x"},
    )
    answers = [send_form(client, mine, **wrong)]
    send_form(client, form_of(client, "/ajustes/2"), monto_deseado="8")
    answers += [send_form(client, mine, monto_deseado="9"), send_form(client, deleting)]
    client.delete("/configuraciones/2").raise_for_status()
    answers += [send_form(client, mine), client.get("/ajustes/2")]
    assert [answer.status_code for answer in answers] == [400, 412, 412, 404, 404]
    assert ["Centro" in visible_text(answer.text) for answer in answers] == [True] * 5


def test_what_another_changed_meanwhile_is_shown_and_both_changes_are_kept(
    client: TestClient,
) -> None:
    mine, another = form_of(client, "/ajustes/2"), form_of(client, "/ajustes/2")
    send_form(client, another, monto_deseado="800,000.00", incluye_otc=None, tipo_inventario="SPP")
    before = stored_configurations(client)
    answer = send_form(client, mine, monto_deseado="700,000.00", incluye_genericos=None)
    assert answer.status_code == 412
    assert stored_configurations(client) == before
    page = visible_text(answer.text)
    assert "Otra persona cambió la configuración del mostrador 2" in page
    assert "Monto deseado, MXN $950,000.00 $800,000.00 $700,000.00 (lo suyo)" in page
    assert "Modelo IPP SPP SPP (igual)" in page
    assert "OTC Sí No No (igual)" in page
    assert send_form(client, Form(answer.text)).status_code == 303
    now = stored_configurations(client)["2"]
    assert (now["monto_deseado"], now["tipo_inventario"]) == (700_000, "SPP")
    assert [label for label in SWITCHES if not now[label]] == ["incluye_genericos", "incluye_otc"]


def test_a_third_change_is_not_written_over_either(client: TestClient) -> None:
    mine = form_of(client, "/ajustes/2")
    for amount in ("1.00", "2.00"):
        send_form(client, form_of(client, "/ajustes/2"), monto_deseado=amount)
        answer = send_form(client, mine, incluye_otc=None)
        assert answer.status_code == 412
        mine = Form(answer.text)
    assert send_form(client, mine).status_code == 303
    assert stored_configurations(client)["2"]["monto_deseado"] == 2.0
    assert stored_configurations(client)["2"]["incluye_otc"] is False


def test_a_form_that_is_sent_twice_is_no_conflict(client: TestClient) -> None:
    for path in ("/ajustes/2", "/ajustes/nueva?mostrador=12"):
        form = form_of(client, path)
        answers = [send_form(client, form, monto_deseado="5").status_code for _ in range(2)]
        assert answers == [303, 303]


def test_what_another_deleted_meanwhile_can_be_made_again_from_what_was_typed(
    client: TestClient,
) -> None:
    form = form_of(client, "/ajustes/2")
    client.delete("/configuraciones/2").raise_for_status()
    answer = send_form(client, form, monto_deseado="7.00")
    assert (answer.status_code, "Otra persona borró" in answer.text) == (404, True)
    assert "2" not in stored_configurations(client)
    assert send_form(client, Form(answer.text)).headers["location"] == "/ajustes/2?hecho=creada"
    assert stored_configurations(client)["2"]["monto_deseado"] == 7.0


def test_deleting_asks_once_more(client: TestClient) -> None:
    form = form_of(client, "/ajustes/1/borrar")
    assert set(stored_configurations(client)) == {"1", "2"}
    answer = send_form(client, form)
    assert (answer.status_code, set(stored_configurations(client))) == (303, {"2"})
    assert "La configuración se borró." in client.get(answer.headers["location"]).text
    assert "ya no estaba" in client.get(send_form(client, form).headers["location"]).text
    assert "ya no estaba" in client.get("/ajustes/1/borrar").text


def test_what_another_changed_is_not_deleted_unseen(client: TestClient) -> None:
    form = form_of(client, "/ajustes/2/borrar")
    send_form(client, form_of(client, "/ajustes/2"), monto_deseado="8")
    answer = send_form(client, form)
    assert (answer.status_code, "$8.00" in answer.text, "2" in stored_configurations(client)) == (
        412,
        True,
        True,
    )
    assert send_form(client, Form(answer.text)).status_code == 303
    assert "2" not in stored_configurations(client)


@pytest.mark.parametrize(
    "path",
    [
        "/ajustes",
        "/ajustes/nueva",
        "/ajustes/2",
        "/ajustes/2/borrar",
        "/ajustes/importar",
        "/ajustes/3",
    ],
)
def test_a_page_keeps_to_its_policy_in_either_language(client: TestClient, path: str) -> None:
    for language, title in (("es", "Configuraciones"), ("en", "Configurations")):
        answer = client.get(path, headers={"accept-language": language})
        assert answer.headers["content-security-policy"] == CONTENT_POLICY
        assert f'<html lang="{language}">' in answer.text
        assert re.search(rf'href="/ajustes" aria-current="page">{title}<', answer.text)
        assert not re.search(r"\sstyle=|<style|\son\w+=|hx-on|<script>", answer.text)
        named = re.findall(r'<(?:input|select)[^>]* id="(\w+)"', answer.text)
        assert set(named) <= set(re.findall(r'<label for="(\w+)"', answer.text))


def test_what_is_said_in_spanish_on_an_english_page_is_marked_as_spanish(
    client: TestClient,
) -> None:
    form = form_of(client, "/ajustes/2")
    answer = client.post(
        form.action, data=form.fields | {"monto_deseado": "mil"}, headers={"accept-language": "en"}
    )
    assert re.findall(r'<(\w+)[^>]* lang="es">no es un número[^<]+<', answer.text) == ["span", "p"]
    refused = client.post(
        "/ajustes/importar", data=form.fields, files={"archivo": ("x.csv", b"mostrador\n99\n")},
        headers={"accept-language": "en"},
    )  # fmt: skip
    assert '<td lang="es">no está en la tabla' in refused.text
