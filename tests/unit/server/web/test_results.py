"""Results without a browser: figures, the table, and how a quantity came about."""

from __future__ import annotations

import datetime as dt
import html
import re

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ipp.core.tables import NOTICES, RESULTS
from ipp.server.web import formatting
from ipp.server.web.page import CONTENT_POLICY, HTMX_REQUEST_HEADER
from ipp.server.web.results.product_rows import SHOWN_COLUMNS
from ipp.server.web.results.result_pages import NOTICES_SHOWN
from ipp.server.web.results.result_source import weekly_sales
from ipp.settings import DEFAULT_CATALOG
from tests.unit.server.api.conftest import BEGUN, DONE, MOSTRADORES
from tests.unit.server.web.form_submission import visible_text
from tests.unit.server.web.published_job import (
    ANOTHERS,
    EARLY,
    FAILED,
    FIRST,
    HTMX,
    RESULTADOS,
    SECOND,
    TABLE,
    app,
    build_early_results,
    build_processed,
    client,
    listed_materials,
)

__all__ = ["app", "client"]  # fixtures that the tests of these pages share


def test_a_job_shows_each_counter_and_all_together(client: TestClient, app: FastAPI) -> None:
    page = client.get(RESULTADOS)
    told = visible_text(page.text)
    rows = app.state.services.warehouse.job_summary(DONE)
    assert page.headers["content-security-policy"] == CONTENT_POLICY
    assert f"Inversión ${sum(row['investment'] for row in rows):,.2f}" in told
    for row in rows:
        assert f"{row['mostrador']} ${row['investment']:,.2f}" in told
        assert f'href="{RESULTADOS}/{row["mostrador"]}"' in page.text
    for kind in ("xlsx", "csv", "parquet"):
        assert f'href="/ipp/results/{DONE}/download?format={kind}"' in page.text


def test_what_is_odd_about_the_data_is_shown_as_text_and_not_without_end(
    client: TestClient, app: FastAPI
) -> None:
    assert 'id="avisos"' not in client.get(RESULTADOS).text
    rows = [(DONE, FIRST, f"aviso <{n}>.") for n in range(NOTICES_SHOWN + 7)]
    notices = pl.LazyFrame(rows, schema=NOTICES.schema, orient="row")
    app.state.lakehouse.replace_table(NOTICES, notices)
    page = client.get(RESULTADOS).text
    assert page.count("aviso &lt;") == NOTICES_SHOWN
    assert "Y 7 más" in page
    assert NOTICES.full_name(DEFAULT_CATALOG) in page


def test_the_figures_of_a_counter_are_the_contracts(client: TestClient) -> None:
    summary = client.get(f"/ipp/results/{DONE}").json()["summary"]["mostradores"]
    assert [int(row["mostrador"]) for row in summary] == list(MOSTRADORES)
    for row in summary:
        page = client.get(f"{RESULTADOS}/{row['mostrador']}").text
        told = {
            visible_text(name): visible_text(value)
            for name, value in re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page)
        }
        figures = {
            "Inversión": formatting.money(row["investment"]),
            "Objetivo": formatting.money(row["target_investment"]),
            "Del objetivo": formatting.share(row["investment"], row["target_investment"]),
            "Productos": formatting.whole(row["products"]),
            "Surtidos": formatting.whole(row["products_with_stock"]),
            "Piezas": formatting.whole(row["units"]),
            "Servicio esperado": formatting.percent(row["expected_fill_rate"]),
        }
        assert {name: told[name] for name in figures} == figures


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_row_of_the_table_is_a_row_of_the_contract(order: str, client: TestClient) -> None:
    asked = {"mostrador": str(FIRST), "sort": "descripcion", "order": order}
    rows = client.get(f"/ipp/results/{DONE}/rows", params=asked).json()["rows"]
    page = client.get(TABLE, params={"orden": "descripcion", "sentido": order}, headers=HTMX).text
    lines = re.findall("<tr><th scope=.row.>.*?</tr>", page, re.DOTALL)
    cells = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    told = [[html.unescape(re.sub("<[^>]+>", "", cell)) for cell in line] for line in cells]
    labels = [RESULTS.labels[name] for name in SHOWN_COLUMNS]
    assert [line[0] for line in told] == [row["material"] for row in rows]
    for line, row in zip(told, rows, strict=True):
        values = dict(zip(labels, line, strict=True))
        assert values["descripcion"].split() == (row["descripcion"] or formatting.NO_VALUE).split()
        assert values["categoria"] == (row["categoria"] or formatting.NO_VALUE)
        for label, form in (
            ("precio", formatting.money), ("optimo", formatting.whole),
            ("importe_optimo", formatting.money), ("demanda_esperada", formatting.decimal),
            ("servicio_esperado", formatting.percent), ("pedido_sugerido", formatting.whole),
        ):  # fmt: skip
            assert values[label] == form(row[label])


def test_a_counter_that_failed_is_named_with_its_stage_and_cause(client: TestClient) -> None:
    page = client.get(f"/procesos/{EARLY}/resultados")
    assert f"{FAILED} Factor sin precio <alguno>" in visible_text(page.text)
    assert "<alguno>" not in page.text
    assert f'name="lista" value="{FAILED}"' in page.text, "another job can be begun with them"


@pytest.mark.parametrize("part", ["", "/productos/1001", "/productos/1001/historia"])
def test_the_pages_of_a_counter_that_failed_say_what_the_contract_does(
    part: str, client: TestClient
) -> None:
    said = client.get(f"/ipp/results/{EARLY}/rows", params={"mostrador": FAILED}).json()
    for headers in ({}, HTMX):
        answer = client.get(f"/procesos/{EARLY}/resultados/{FAILED}{part}", headers=headers)
        told = visible_text(answer.text)
        assert answer.status_code == 409
        assert said["error"] in told
        assert said["message"] in told
        assert "<alguno>" not in answer.text
    assert "sin precio <alguno>" in said["error"]


def test_one_compares_with_ones_own_earlier_jobs(client: TestClient) -> None:
    page = client.get(RESULTADOS).text
    assert f'<option value="{EARLY}">' in page
    assert ANOTHERS not in page
    assert "<option" not in client.get(f"/procesos/{EARLY}/resultados").text


ADDRESSES = (
    RESULTADOS, TABLE, f"{TABLE}/productos/1001", f"{TABLE}/productos/1001/historia",
    f"/procesos/{DONE}/comparar?con={ANOTHERS}",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_another_persons_results_are_not_there(address: str, client: TestClient) -> None:
    answer = client.get(address, headers={"x-user": "beto"})
    assert answer.status_code == 404
    assert "Job no encontrado" in answer.text


def test_one_does_not_compare_with_another_persons_job(client: TestClient) -> None:
    answer = client.get(f"/procesos/{DONE}/comparar?con={ANOTHERS}")
    assert (answer.status_code, "Por costumbre" in answer.text) == (404, False)


@pytest.mark.parametrize("part", ["", f"/{FIRST}", f"/{FIRST}/productos/1001/historia"])
def test_a_job_that_has_not_ended_has_no_results(part: str, client: TestClient) -> None:
    answer = client.get(f"/procesos/{BEGUN}/resultados{part}")
    assert (answer.status_code, "Proceso no completado" in answer.text) == (409, True)


def test_for_htmx_the_table_comes_alone(client: TestClient) -> None:
    part = client.get(TABLE, headers=HTMX)
    assert "<html" not in part.text
    assert listed_materials(part.text) == listed_materials(client.get(TABLE).text)
    assert HTMX_REQUEST_HEADER in part.headers["vary"]


def test_a_head_that_sorts_turns_round_when_asked_again(client: TestClient) -> None:
    page = html.unescape(
        client.get(TABLE, params={"orden": "optimo", "sentido": "desc", "busca": '3" x'}).text
    )
    assert f'href="{TABLE}?orden=optimo&sentido=asc&busca=3%22+x#productos"' in page


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"busca": "  ACIDO "}, [1_000, 1_001]),
        ({"busca": "1002"}, [1_002]),
        ({"busca": "a.*b"}, [1_011]),
    ],
)
def test_the_table_is_searched(asked: dict[str, str], found: list[int], client: TestClient) -> None:
    page = client.get(TABLE, params=asked)
    assert sorted(listed_materials(page.text)) == found
    assert f"{len(found)} producto" in visible_text(page.text)
    assert f'value="{asked["busca"]}"' in page.text, "what was searched for stays in its field"


def test_the_table_is_of_one_category_where_one_is_chosen(client: TestClient) -> None:
    page = client.get(TABLE, params={"categoria": "GG"})
    assert sorted(listed_materials(page.text)) == list(range(1_001, 1_013, 2))
    assert re.search(r'<option value="GG" selected>GG \(6\)', page.text)
    nothing = client.get(TABLE, params={"categoria": "NADA"})
    assert "Ningún producto es así." in nothing.text


def test_products_without_a_category_are_one_choice_among_the_categories(
    client: TestClient,
) -> None:
    page = client.get(TABLE)
    value, count = re.findall(r'<option value="([^"]*)" >Sin categoría \((\d+)\)', page.text)[0]
    found = client.get(TABLE, params={"categoria": value, "pagina": 1})
    assert sorted(listed_materials(found.text)) == list(range(1_000, 1_013, 2))
    assert int(count) == len(listed_materials(found.text))
    assert f'<option value="{value}" selected>Sin categoría' in found.text
    kept = next(address for address in re.findall(r'href="([^"]*orden=precio[^"]*)"', found.text))
    assert listed_materials(client.get(html.unescape(kept)).text) == listed_materials(
        client.get(TABLE, params={"categoria": value, "orden": "precio"}).text
    ), "sorting keeps to it"


def test_the_pages_have_every_product_once(client: TestClient) -> None:
    path = f"/procesos/{EARLY}/resultados/{FIRST}"
    pages = [
        client.get(
            path, params={"pagina": n, "orden": "material", "sentido": "asc"}, headers=HTMX
        ).text
        for n in (1, 2, 3)
    ]  # fmt: skip
    assert [len(listed_materials(page)) for page in pages] == [100, 100, 50]
    assert sorted(one for page in pages for one in listed_materials(page)) == sorted(
        build_early_results()["material"]
    )
    assert "página 2 de 3" in visible_text(pages[1])
    assert ['rel="prev"' in page for page in pages] == [False, True, True]
    assert ['rel="next"' in page for page in pages] == [True, True, False]
    beyond = client.get(
        path, params={"pagina": 9, "orden": "material", "sentido": "asc"}, headers=HTMX
    ).text
    assert beyond == pages[2]


@pytest.mark.parametrize(
    "asked",
    [{"orden": "no"}, {"sentido": "x"}, {"pagina": "0"}, {"pagina": "dos"}, {"busca": "x" * 201}],
)
def test_an_address_that_means_nothing_is_refused_on_a_page(
    asked: dict[str, str], client: TestClient
) -> None:
    answer = client.get(TABLE, params=asked)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert next(iter(asked)) in answer.text


def test_a_product_opens_to_how_its_quantity_came_about_rule_by_rule(client: TestClient) -> None:
    page = client.get(f"{TABLE}/productos/1001")
    told = visible_text(page.text)
    row = build_processed().row(0, named=True)
    assert "Por demanda." in told
    for line in (
        "Demanda del área 30.00",
        "Factor 9 4.400",
        "Factor D 1.250",
        f"Factor de redondeo {row['rounding_factor']:.2f}",
        f"Redondeo {row['rounded']}",
        f"Joroba {row['bumped']}",
        "Óptimo 1",
    ):
        assert line in told
    part = client.get(f"{TABLE}/productos/1001", headers=HTMX).text
    assert "<html" not in part
    assert "autofocus" in part


def test_a_product_whose_stages_left_nothing_shows_what_was_published(client: TestClient) -> None:
    page = client.get(f"{RESULTADOS}/{SECOND}/productos/1001")
    assert page.status_code == 200
    assert "Por demanda." in page.text
    assert "Redondeo" not in page.text


@pytest.mark.parametrize("material", ["9", "x", "1" * 30, "²"])
def test_a_product_that_was_not_published_is_not_there(material: str, client: TestClient) -> None:
    for ending in ("", "/historia"):
        assert client.get(f"{TABLE}/productos/{material}{ending}").status_code == 404


def test_a_week_ends_with_the_cutoff_and_a_week_without_a_sale_is_none_sold(app: FastAPI) -> None:
    sold = weekly_sales(app.state.services.warehouse, FIRST, 1_001, dt.date(2026, 6, 30))
    ends = [dt.date(2026, 6, day) for day in (9, 16, 23, 30)]
    assert list(sold.iter_rows()) == list(zip(ends, (5.0, 0.0, 0.0, 3.0), strict=True))
    assert weekly_sales(app.state.services.warehouse, FIRST, 1_002, dt.date(2026, 6, 30)).is_empty()
