"""Configuraciones from a file: seen before they are stored, and stored as seen or not at all."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from ipp.core.tables import CONFIGURATIONS, COUNTERS
from ipp.errors import MAX_ECHO_CHARS, MAX_NAMED
from ipp.server.api import configuration_routes
from ipp.server.web.import_preview import MAX_CHANGED_ROWS, MAX_SHOWN_ROWS
from ipp.server.web.upload import MAX_INFLATED_BYTES
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.unit.server.api.conftest import TODAY
from tests.unit.server.web.form_submission import (
    Form,
    app_of,
    form_of,
    send_form,
    stored_configurations,
    visible_text,
)

NEXT = TODAY.replace(day=2)


def bring(client: TestClient, content: str | bytes, name: str = "datos.csv") -> Response:
    """Choose a file and look at what it would change."""
    data = form_of(client, "/ajustes/importar").fields
    content = content.encode() if isinstance(content, str) else content
    return client.post("/ajustes/importar", data=data, files={"archivo": (name, content)})


def first_form(page: str) -> Form:
    """The form by which one agrees: the one before that of another file."""
    return Form(page[: page.index('<form method="post" action="/ajustes/importar"')])


def agree(client: TestClient, shown: Response, **changes: str) -> Response:
    return send_form(client, first_form(shown.text), **changes)


def amounts(client: TestClient) -> dict[str, float | None]:
    return {
        mostrador: row["monto_deseado"] for mostrador, row in stored_configurations(client).items()
    }


def test_what_a_file_would_change_is_shown_before_anything_is_stored(client: TestClient) -> None:
    before = stored_configurations(client)
    answer = bring(
        client, "mostrador,monto_deseado,incluye_otc,color\n2,1000,sí,rojo\n3,,no,\n1,,no,\n"
    )
    page = visible_text(answer.text)
    assert (answer.status_code, stored_configurations(client)) == (200, before)
    assert "Esto es lo que cambiaría datos.csv. Todavía no se guardó nada." in page
    assert "Columnas que no se usaron: color." in page
    assert "Renglones leídos 3 Nuevas 1 Cambiarían 1 Quedarían igual 1 Rechazados 0" in page
    assert (
        "Lo que cambiaría Mostrador Campo Ahora está Quedaría "
        "2 Monto deseado, MXN $950,000.00 $1,000.00"
    ) in page
    assert re.search(r"Configuraciones nuevas .* 3 SPP — Todos menos: OTC", page)
    assert "Guardar 2 configuraciones" in page


def test_the_notices_of_a_file_are_shown_before_it_is_stored(client: TestClient) -> None:
    shown = bring(client, "mostrador,monto_deseado,\n2,1000,<b>perdido\n")
    assert shown.status_code == 200
    assert "Aviso: la columna C tiene valores sin encabezado" in visible_text(shown.text)


def test_what_was_seen_is_what_is_stored_and_the_file_is_not_sent_twice(client: TestClient) -> None:
    shown = bring(client, 'mostrador,monto_deseado\n2,"1,000.10"\n3,2000\n1,\n')
    answer = agree(client, shown)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ajustes?hecho=importada")
    assert (
        "Las configuraciones del archivo se guardaron."
        in client.get(answer.headers["location"]).text
    )
    assert amounts(client) == {"1": None, "2": 1000.10, "3": 2000}
    assert stored_configurations(client)["2"]["tipo_inventario"] == "IPP", (
        "what the file does not bring stays"
    )
    assert agree(client, shown).status_code == 303, "sent twice, the form says the same twice"
    again = visible_text(bring(client, "mostrador,monto_deseado\n3,2000\n").text)
    assert "datos.csv no cambiaría nada." in again
    assert "Guardar" not in again


def test_each_row_of_a_file_is_listed_before_and_after(client: TestClient) -> None:
    agree(client, bring(client, "mostrador,monto_deseado\n2,1000\n3,2000\n1,\n", "julio.csv"))
    listed = client.get("/ajustes/cambios").text
    (link,) = re.findall(r'href="(/ajustes/cambios\?importacion=[^"]+)"', listed)
    assert "julio.csv" in visible_text(listed)
    rows = visible_text(client.get(link).text)
    assert "Cambios de un archivo" in rows
    assert "Importó configuraciones · 2 Monto deseado, MXN: $950,000.00 → $1,000.00" in rows
    assert "Importó configuraciones · 3" in rows
    assert "Importó configuraciones · 1" not in rows
    of_each = {
        key: client.get("/cambios", params={"mostrador": key}).json()["cambios"] for key in (1, 2)
    }
    assert [change["operacion"] for change in of_each[1]] == ["crear"]
    newest, created = of_each[2]
    assert (newest["operacion"], created["operacion"]) == ("importar", "crear")
    assert newest["antes"] == created["despues"]
    assert newest["despues"]["monto_deseado"] == 1_000


def test_every_column_is_stored_as_it_was_shown(client: TestClient) -> None:
    labels = [column.label for column in configuration_routes.EDITABLE_COLUMNS]
    values = ["IPP", "0.1", *("no" if n % 2 else "sí" for n in range(len(labels) - 2))]
    shown = bring(client, f"mostrador,{','.join(labels)}\n1,{','.join(values)}\n")
    assert agree(client, shown).status_code == 303
    row = stored_configurations(client)["1"]
    read = {"sí": True, "no": False, "0.1": 0.1}
    assert [row[label] for label in labels] == [read.get(value, value) for value in values]


def test_a_change_is_dated_by_the_day_it_is_made_and_not_by_the_file(client: TestClient) -> None:
    app: Any = client.app
    app.dependency_overrides[configuration_routes.today_in_mexico] = lambda: NEXT
    days = (
        "mostrador,fecha_actualizacion,monto_deseado\n"
        "1,2020-01-31,\n2,2020-01-31,7\n3,2020-01-31,8\n"
    )
    shown = bring(client, days)
    assert "Columnas que no se usaron: fecha_actualizacion." in visible_text(shown.text)
    assert "Nuevas 1 Cambiarían 1 Quedarían igual 1" in visible_text(shown.text)
    agree(client, shown)
    dates = {
        mostrador: row["fecha_actualizacion"]
        for mostrador, row in stored_configurations(client).items()
    }
    assert dates == {"1": TODAY.isoformat(), "2": NEXT.isoformat(), "3": NEXT.isoformat()}


def test_what_another_changed_after_one_saw_it_is_not_written_over_unseen(
    client: TestClient,
) -> None:
    shown = bring(client, "mostrador,monto_deseado\n1,5\n2,1000\n3,2000\n")
    send_form(client, form_of(client, "/ajustes/2"), monto_deseado="800,000.00", incluye_otc=None)
    before = stored_configurations(client)
    answer = agree(client, shown)
    assert (answer.status_code, stored_configurations(client)) == (412, before), (
        "none of it is stored"
    )
    page = visible_text(answer.text)
    assert (
        "Otra persona cambió configuraciones de este archivo después de que usted las vio." in page
    )
    assert (
        "2 Monto deseado, MXN $800,000.00 lo cambió otra persona $1,000.00 "
        "1 Monto deseado, MXN — $5.00" in page
    )
    assert agree(client, answer).status_code == 303
    assert amounts(client) == {"1": 5, "2": 1000, "3": 2000}
    assert not stored_configurations(client)["2"]["incluye_otc"], (
        "what another changed and the file does not bring stays"
    )


@pytest.mark.parametrize("done", ["deleted", "made"])
def test_what_another_deleted_or_made_meanwhile_is_shown_as_well(
    client: TestClient, done: str
) -> None:
    shown = bring(client, "mostrador,monto_deseado\n2,1000\n3,2000\n")
    if done == "deleted":
        client.delete("/configuraciones/2").raise_for_status()
    else:
        client.post("/configuraciones", json={"mostrador": 3}).raise_for_status()
    answer = agree(client, shown)
    assert answer.status_code == 412
    page = visible_text(answer.text)
    expected = (
        "2 SPP lo cambió otra persona $1,000.00"
        if done == "deleted"
        else "3 Monto deseado, MXN — lo cambió otra"
    )
    assert expected in page
    assert agree(client, answer).status_code == 303
    assert amounts(client) | {"1": None} == {"1": None, "2": 1000, "3": 2000}


def test_what_another_did_the_same_is_no_conflict(client: TestClient) -> None:
    shown = bring(client, "mostrador,monto_deseado\n2,1000\n")
    send_form(client, form_of(client, "/ajustes/2"), monto_deseado="1000")
    assert agree(client, shown).status_code == 303


def test_what_a_busy_table_does_not_take_can_be_sent_again(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = bring(client, "mostrador,monto_deseado\n2,1000\n")
    monkeypatch.setattr(app_of(client).state.lakehouse, "_patience", 0.05)
    with DeltaLakehouse(tmp_path / "lakehouse").write_lock(CONFIGURATIONS):
        answer = agree(client, shown)
    assert answer.status_code == 503
    page = visible_text(answer.text)
    assert "Otro proceso está escribiendo la tabla configuraciones" in page
    assert "No se guardó nada. Lo que vio del archivo sigue aquí. Guardar otra vez" in page
    assert amounts(client)["2"] == 950_000
    assert agree(client, answer).status_code == 303
    assert amounts(client)["2"] == 1000


def test_refused_rows_are_shown_and_only_the_good_ones_can_be_stored(client: TestClient) -> None:
    before = stored_configurations(client)
    shown = bring(client, "mostrador,monto_deseado\n3,2000\n99,1\n12,-5\n=1+1,4\n")
    page = visible_text(shown.text)
    assert (shown.status_code, stored_configurations(client)) == (200, before)
    assert "3 mostrador 99 no está en la tabla mostradores" in page
    assert "4 monto_deseado -5 es menor que el mínimo, 0.01 MXN" in page
    assert "5 mostrador =1+1 no es un identificador" in page
    assert "Los renglones rechazados se quedan fuera." in page
    assert "Rechazados 3" in page
    assert agree(client, shown).status_code == 303
    assert set(stored_configurations(client)) == {"1", "2", "3"}


def test_a_file_of_refused_rows_alone_leaves_nothing_to_agree_to(client: TestClient) -> None:
    page = visible_text(bring(client, "mostrador\n99\n98\n").text)
    assert "datos.csv no cambiaría nada." in page
    assert "Rechazados 2" in page
    assert "Guardar" not in page


def add_counters(client: TestClient, count: int) -> None:
    """Make the catalogue one of the mostradores from 1 to ``count``."""
    app: Any = client.app
    counters = {"mostrador": range(1, count + 1), "postal_code": [6_700] * count}
    app.state.lakehouse.replace_table(COUNTERS, pl.LazyFrame(counters))


def test_of_very_many_rows_some_are_shown_and_all_are_stored(client: TestClient) -> None:
    many = MAX_SHOWN_ROWS + 1
    add_counters(client, 2 * many)
    first = "".join(f"{n},1\n" for n in range(1, many + 1))
    assert agree(client, bring(client, f"mostrador,monto_deseado\n{first}")).status_code == 303
    shown = bring(
        client,
        "mostrador,monto_deseado\n"
        + "".join(f"{n},{n}\n" for n in range(2, 2 * many + 1))
        + "".join(f"{n},1\n" for n in range(10_000, 10_000 + many + 8)),
    )
    assert visible_text(shown.text).count("Y 1 más.") == 1, "of the new ones"
    assert "Y 9 más." in visible_text(shown.text), "of the refused ones"
    assert agree(client, shown).status_code == 303
    assert amounts(client) == {str(n): float(n) for n in range(1, 101)}, "the first page"
    assert client.get("/configuraciones").json()["total"] == 2 * many


def test_a_file_that_would_change_more_than_a_form_can_hold_is_refused(client: TestClient) -> None:
    add_counters(client, MAX_CHANGED_ROWS + 3)
    for count, status in ((MAX_CHANGED_ROWS, 200), (MAX_CHANGED_ROWS + 1, 400)):
        rows = "".join(f"{n}\n" for n in range(3, count + 3))
        answer = bring(client, f"mostrador\n{rows}")
        refused = f"cambiaría {count:,} configuraciones" in answer.text
        assert (answer.status_code, refused) == (status, status == 400)


def test_as_many_as_may_be_changed_fit_into_a_form(client: TestClient) -> None:
    add_counters(client, MAX_CHANGED_ROWS)
    labels = [column.label for column in configuration_routes.EDITABLE_COLUMNS]
    values = ",".join(["IPP", "123456789012.34", *["no"] * (len(labels) - 2)])
    shown = bring(
        client,
        f"mostrador,{','.join(labels)}\n"
        + "".join(f"{n},{values}\n" for n in range(1, MAX_CHANGED_ROWS + 1)),
    )
    assert agree(client, shown).status_code == 303
    assert client.get("/configuraciones").json()["total"] == MAX_CHANGED_ROWS


@pytest.mark.parametrize(
    "rows",
    ["", "mostrador,monto_deseado\n3,1\n", "version\nx\n", "mostrador,version\n",
     'mostrador,version\n"3,\n', "mostrador,version\n99,\n", "mostrador,version\n3,\n3,\n",
     "mostrador,version,monto_deseado\n3,,-1\n"],
)  # fmt: skip
def test_rows_that_no_page_of_ours_wrote_are_refused(client: TestClient, rows: str) -> None:
    before = stored_configurations(client)
    form = first_form(bring(client, "mostrador\n3\n").text)
    answer = send_form(client, form, renglones=rows)
    assert (answer.status_code, stored_configurations(client)) == (400, before)
    assert 'role="alert"' in answer.text
    assert send_form(client, form, renglones="mostrador,version\n2,vieja\n").status_code == 303, (
        "it would change nothing"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "está vacío"),
        ("a,b\n1,2\n", "le falta «mostrador»"),
    ],
)
def test_a_file_that_is_no_list_is_told_from_a_good_one(
    client: TestClient, content: str, said: str
) -> None:
    answer = bring(client, content)
    assert (answer.status_code, said in answer.text) == (400, True)


def test_an_amount_that_would_be_unclear_as_text_is_stored_as_shown(client: TestClient) -> None:
    shown = bring(client, "mostrador,monto_deseado\n2,123.4560\n")
    assert agree(client, shown).status_code == 303
    assert amounts(client)["2"] == 123.456


def test_a_file_has_a_size(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipp.server.web.upload.MAX_UPLOAD_BYTES", 10)
    answer = bring(client, "mostrador\n3\n")
    assert (answer.status_code, "demasiado grande" in answer.text) == (400, True)


def test_a_workbook_that_swells_when_it_is_opened_is_not_opened(client: TestClient) -> None:
    for spare, status in ((0, 200), (MAX_INFLATED_BYTES >> 20, 400)):
        book = io.BytesIO()
        pl.DataFrame({"mostrador": [3]}).write_excel(book)
        with (
            zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as parts,
            parts.open("xl/sobra.xml", "w") as part,
        ):
            for _ in range(spare):
                part.write(b" " * (1 << 20))
        assert len(book.getvalue()) < 1 << 20
        answer = bring(client, book.getvalue(), "libro.xlsx")
        assert (answer.status_code, "demasiado grande" in answer.text) == (status, status == 400)


def test_no_file_is_asked_for_again(client: TestClient) -> None:
    data = form_of(client, "/ajustes/importar").fields
    sent: list[Any] = [{}, {"archivo": ("", b"")}]
    for files in sent:
        answer = client.post("/ajustes/importar", data=data, files=files)
        assert (answer.status_code, "No se eligió ningún archivo." in answer.text) == (400, True)


@pytest.mark.parametrize(
    "name", ["../../../x.csv", r"C:\datos\x.csv", "..", "ñ" * 300 + ".csv", "a\tb\0.csv", ".csv"]
)
def test_whatever_a_browser_calls_a_file_it_lies_where_it_should(
    client: TestClient, tmp_path: Path, name: str
) -> None:
    before = set(tmp_path.parent.rglob("x.csv"))  # other tests have files of that name
    shown = bring(client, "mostrador\n3\n", name)
    assert agree(client, shown).status_code == 303
    assert "3" in stored_configurations(client)
    assert set(tmp_path.parent.rglob("x.csv")) == before


def test_who_asks_again_for_the_address_of_an_answer_begins_again(client: TestClient) -> None:
    answer = client.get("/ajustes/importar/guardar", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ajustes/importar")


@pytest.mark.parametrize(
    "lines",
    [
        [",".join(f"zq{n:04d}{'x' * 300}" for n in range(500)), ",".join(["1"] * 500)],
        ["mostrador,monto_deseado," + ",".join(f"zq{n:04d}{'x' * 300}" for n in range(500))],
        ["mostrador,monto_deseado", *(f"{n},zq{n:04d}{'x' * 300}" for n in range(1, 4))],
    ],
    ids=["headings", "unused", "values"],
)
def test_few_names_and_few_letters_of_each_are_repeated(
    client: TestClient, lines: list[str]
) -> None:
    content = "\n".join([*lines, "3" if lines[0].startswith("mostrador") else ""])
    data = form_of(client, "/nuevo").fields
    answers = [
        bring(client, content),
        client.post("/nuevo/archivo", data=data, files={"archivo": ("a.csv", content.encode())}),
    ]
    for answer in answers:
        assert answer.status_code < 500
        shown = re.findall(r"zq\d{4}x*", visible_text(answer.text))
        assert len(set(shown)) <= MAX_NAMED
        assert all(len(name) <= MAX_ECHO_CHARS for name in shown)
