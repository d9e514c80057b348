"""The table of products in a real browser: sorted, searched, filtered and paged, there and back."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.server import FIRST
from tests.web.browser import results_of
from tests.web.conftest import Visiting


@pytest.fixture
def page(done: str, visiting: Visiting) -> Page:
    """The page of a mostrador with two pages of products."""
    page = visiting().page()
    page.goto(results_of(done, FIRST))
    expect(count(page)).to_have_text("200 productos · página 1 de 2")
    return page


def count(page: Page) -> Locator:
    """How many there are, as it is said."""
    return page.locator("#tabla").get_by_role("status")


def head(page: Page, name: str) -> Locator:
    return page.get_by_role("columnheader", name=name, exact=True)


def asked(client: httpx2.Client, job_id: str, **query: Any) -> list[str]:
    """The materials that the contract gives, in their order."""
    answer = client.get(
        f"/ipp/results/{job_id}/rows", params={"mostrador": FIRST, "limit": 100, **query}
    )
    return [row["material"] for row in answer.json()["rows"]]


def expect_materials(page: Page, wanted: list[str]) -> None:
    """Wait until the table has these products in this order."""
    assert wanted
    expect(page.locator("#tabla tbody a")).to_have_text(wanted)


def test_a_head_sorts_and_turns_round(page: Page, done: str, client: httpx2.Client) -> None:
    page.evaluate("window.same = true")
    for order, said in (("desc", "descending"), ("asc", "ascending")):
        page.get_by_role("link", name="Precio").click()
        expect(head(page, "Precio")).to_have_attribute("aria-sort", said)
        expect_materials(page, asked(client, done, sort="precio", order=order))
    assert page.evaluate("window.same"), "the page was not loaded again"


def test_one_finds_a_product_while_typing(page: Page, done: str, client: httpx2.Client) -> None:
    page.get_by_label("Buscar").press_sequentially("tab")
    wanted = asked(client, done, q="tab", sort="importe_optimo", order="desc")
    expect(count(page)).to_have_text(f"{len(wanted)} productos")
    expect_materials(page, wanted)
    expect(page.get_by_label("Buscar")).to_be_focused()
    page.reload()
    expect(page.get_by_label("Buscar")).to_have_value("tab")
    expect_materials(page, wanted)
    page.get_by_label("Buscar").fill("no hay nada así")
    expect(page.get_by_text("Ningún producto es así.")).to_be_visible()
    page.get_by_role("link", name="Ver todos.").click()
    expect(count(page)).to_have_text("200 productos · página 1 de 2")


def test_a_category_and_a_search_go_together_and_with_the_order(page: Page) -> None:
    page.get_by_role("link", name="Material", exact=True).click()
    expect(head(page, "Material")).to_have_attribute("aria-sort", "ascending")
    choice = page.get_by_label("Categoría").locator("option", has_text="EPEP")
    number = choice.inner_text().partition("(")[2].rstrip(")")
    page.get_by_label("Categoría").select_option(label=choice.inner_text())
    expect(count(page)).to_have_text(f"{number} productos")
    assert set(page.locator("#tabla tbody td:nth-child(3)").all_inner_texts()) == {"EPEP"}
    materials = page.locator("#tabla tbody a").all_inner_texts()
    assert materials == sorted(materials)
    page.get_by_label("Buscar").fill("caps")
    expect(count(page)).not_to_have_text(f"{number} productos")
    rows = page.locator("#tabla tbody tr")
    expect(rows.filter(has_text="CAPS").filter(has_text="EPEP")).not_to_have_count(0)
    expect(rows.filter(has_not_text="CAPS")).to_have_count(0)
    expect(rows.filter(has_not_text="EPEP")).to_have_count(0)


def test_the_way_back_shows_what_was(page: Page, done: str, client: httpx2.Client) -> None:
    first = asked(client, done, sort="importe_optimo", order="desc")
    expect_materials(page, first)
    page.get_by_role("link", name="Siguiente").click()
    expect(count(page)).to_have_text("200 productos · página 2 de 2")
    second = page.locator("#tabla tbody a").all_inner_texts()
    assert len(second) == 100
    assert not set(second) & set(first)
    page.get_by_role("link", name="Precio").click()
    expect(head(page, "Precio")).to_have_attribute("aria-sort", "descending")
    expect(count(page)).to_have_text("200 productos · página 1 de 2")
    page.go_back()
    expect_materials(page, second)
    page.go_back()
    expect_materials(page, first)
    page.go_forward()
    expect_materials(page, second)


def test_who_goes_on_before_the_page_is_whole_sees_what_the_address_says(
    page: Page, done: str, client: httpx2.Client
) -> None:
    first = asked(client, done, sort="importe_optimo", order="desc")
    page.get_by_role("link", name="Siguiente").click()
    expect(count(page)).to_have_text("200 productos · página 2 de 2")
    second = page.locator("#tabla tbody a").all_inner_texts()
    held: list[Route] = []
    page.route("**/htmx.min.js", lambda route: held.append(route), times=1)  # noqa: PLW0108  # it looks at a function's parameters
    page.go_back()
    expect_materials(page, first)
    page.wait_for_function("document.readyState == 'loading'")
    page.go_forward(wait_until="commit")
    held[0].continue_()
    expect_materials(page, second)


def test_from_a_product_the_way_back_leads_to_the_same_table(page: Page) -> None:
    page.get_by_label("Buscar").fill("tab")
    expect(count(page)).not_to_contain_text("página")
    found = page.locator("#tabla tbody a").all_inner_texts()
    page.locator("#tabla tbody a").first.click()
    page.get_by_role("link", name="Abrir en su página").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(found[0])
    page.go_back()
    expect(page.get_by_label("Buscar")).to_have_value("tab")
    expect_materials(page, found)


def test_without_script_the_table_does_the_same(
    done: str, client: httpx2.Client, visiting: Visiting
) -> None:
    page = visiting(java_script_enabled=False).page()
    page.goto(results_of(done, FIRST))
    page.get_by_role("link", name="Precio").click()
    page.get_by_label("Buscar").fill("tab")
    page.get_by_role("button", name="Buscar").click()
    expect_materials(page, asked(client, done, q="tab", sort="precio", order="desc"))
    page.locator("#tabla tbody a").first.click()
    expect(page.get_by_role("heading", name="Cómo se llegó a esta cantidad")).to_be_visible()
