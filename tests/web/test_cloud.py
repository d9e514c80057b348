"""The page over AWS and Databricks: tests of this folder once more, at ``ipp serve --nube``.

moto answers as DynamoDB and S3; the workspace runs the bundle's jobs over Spark Connect, and its
SQL warehouse is Spark. The tests are the same functions: this module has its own server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from ipp.server.api.claims import Role
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.warehouse import ChangeQuery
from tests.cloud import spark
from tests.cloud.aws import run_moto
from tests.cloud.stack import build_stack
from tests.cloud.workspace import Volumes, bundle_jobs, run_workspace
from tests.cloud.workspace.tables import lay_out
from tests.e2e.server import FIRST, SECOND, Server, wait_for_end
from tests.unit.server.api.callers import AUDIENCE
from tests.unit.server.web.oidc_issuer import PretendIssuer
from tests.waiting import PATIENCE_SECONDS, wait_until
from tests.web import test_configurations, test_results
from tests.web.browser import Visit, expect_status, job_of, validate_list
from tests.web.conftest import Visiting
from tests.web.test_changes import save_amount
from tests.web.test_configurations import as_it_was
from tests.web.test_entry import entered

__all__ = ["as_it_was"]  # a fixture that the tests of configurations have

ONCE_MORE = (
    test_results.test_a_job_leads_to_its_counters_with_the_figures_of_the_contract,
    test_results.test_a_row_opens_to_its_rules_and_its_demand_with_the_band,
    test_results.test_the_files_have_every_row_of_the_contract,
    test_results.test_the_predictive_model_shows_what_each_investment_serves,
    test_results.test_the_traditional_model_shows_the_investment_of_each_factor_with_the_chosen_marked,
    test_configurations.test_one_is_taken_away_and_made_again,
    test_configurations.test_who_saves_over_anothers_change_is_shown_it_and_loses_nothing,
    test_configurations.test_a_file_is_seen_before_it_is_stored_but_for_the_rows_that_are_refused,
)
"""In this order: a job reads the configurations that later tests change."""

ANA = ("ana", Role.EDITOR)
"""Who is signed in, unless a test says otherwise."""


@pytest.fixture(scope="module")
def server(
    chain: Path, issuer: PretendIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    spark.needed()
    folder = tmp_path_factory.mktemp("cloud")
    lakehouse = DeltaLakehouse(chain / "lakehouse")
    LakehouseWarehouse(lakehouse).list_changes(ChangeQuery(limit=1))  # completes their table
    tables, files = folder / "tables", folder / "files"
    lay_out(lakehouse, tables)
    jobs = bundle_jobs({"files": str(files), "tables": str(tables)})
    with run_moto(folder) as aws, spark.run_spark_server(folder) as connect:
        stack = build_stack(aws, folder)
        buckets = {name: f"{stack.name}-{name}" for name in ("ipp-raw", "ipp-processed")}
        with run_workspace(
            folder / "work",
            jobs,
            volumes=Volumes(str(files), aws, buckets),
            tables=tables,
            environ=spark.spark_environment(connect),
        ) as workspace:
            signing = {"IPP_ISSUER": issuer.url, "IPP_AUDIENCE": AUDIENCE, "IPP_MAX_JOBS": "100"}
            environ = {**stack.settings(""), **workspace.environment, **signing}
            made = Server(folder / "home", environ, "--nube")
            made.start()
            issuer.answers.add(made.address)
            try:
                wait_for_warehouse(made, issuer)
                yield made
            finally:
                made.stop()


def wait_for_warehouse(server: Server, issuer: PretendIssuer) -> None:
    """Ask, as a person does, until the warehouse has started."""
    with signed_in(server, issuer) as client:
        wait_until(lambda: client.get("/configuraciones").status_code, lambda said: said == 200)


def signed_in(server: Server, issuer: PretendIssuer) -> httpx2.Client:
    """Return a program's client, with Ana's token."""
    headers = {"Authorization": f"Bearer {issuer.token_of(*ANA)}"}
    return httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS, headers=headers)


@pytest.fixture
def client(server: Server, issuer: PretendIssuer) -> Iterator[httpx2.Client]:
    with signed_in(server, issuer) as made:
        yield made


@pytest.fixture(scope="module")
def begun(server: Server, issuer: PretendIssuer) -> str:
    """A job that has begun."""
    with signed_in(server, issuer) as client:
        answer = client.post("/ipp/start", json={"mostradores": [FIRST, SECOND]})
        job_id: str = answer.json()["job_id"]
        return job_id


@pytest.fixture(scope="module")
def done(begun: str, server: Server, issuer: PretendIssuer) -> str:
    """A job that has ended well: of one mostrador of each model."""
    with signed_in(server, issuer) as client:
        assert wait_for_end(client, begun)["status"] == "COMPLETED"
    return begun


@pytest.fixture
def visiting(visiting: Visiting, server: Server, issuer: PretendIssuer) -> Visiting:
    """Gives a `Visit` of Ana, who has signed in."""

    def visit(**context: Any) -> Visit:
        made = visiting(**context)
        token = issuer.token_of(*ANA)
        made.context.add_cookies([{"name": "ipp_sesion", "value": token, "url": server.address}])
        return made

    return visit


def test_a_job_is_started_watched_listed_and_compared_with_an_earlier_one(
    begun: str, visiting: Visiting, client: httpx2.Client
) -> None:
    page = visiting().page()
    validate_list(page, f"{FIRST}, {SECOND}")
    page.get_by_label("Días de inventario").fill("30")
    page.get_by_role("button", name="Empezar").click()
    page.wait_for_url("**/procesos/ipp-*")
    expect_status(page, "Completado")
    expect(page.locator(".stages li.done")).to_have_count(3)
    assert wait_for_end(client, begun)["status"] == "COMPLETED"
    job_id = job_of(page)
    page.get_by_role("link", name="Procesos").click()
    expect(page.locator("tbody tr td:first-child")).to_have_text([job_id, begun])
    page.goto(f"/procesos/{job_id}/comparar?con={begun}&mostrador={FIRST}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Comparación")
    expect(page.get_by_role("link", name=FIRST, exact=True).first).to_be_visible()


globals().update({test.__name__: test for test in ONCE_MORE})


def test_one_signs_in_changes_something_is_told_of_and_leaves(
    browser: Browser, server: Server, issuer: PretendIssuer
) -> None:
    issuer.who = ""  # asks people who they are
    visit = Visit(browser, server.address)
    page = entered(visit, "ana", f"/ajustes/{FIRST}")
    save_amount(page, "321,000.00")
    page.get_by_role("link", name="Ver sus cambios").click()
    newest = page.get_by_role("row").nth(1)
    for text in ("Ana Peña", "en la página", "Cambió configuraciones", "321,000.00"):
        expect(newest).to_contain_text(text)
    page.goto("/ajustes")
    page.get_by_label("Número o nombre").press_sequentially(FIRST)
    expect(page.get_by_role("status")).to_have_text("1 configuración")
    page.goto(f"/ajustes/cambios?mostrador={FIRST}")
    page.get_by_role("link", name="Todos los cambios").click()
    page.get_by_label("Qué cambió").select_option("sellout")
    page.get_by_role("button", name="Buscar").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Puso datos inventados en sellout")
    page.get_by_role("button", name="Salir").click()
    expect(page.get_by_role("heading", name="Sesión cerrada")).to_be_visible()
    assert not [kept for kept in visit.context.cookies() if kept["name"] == "ipp_sesion"]
    page.goto(f"/ajustes/{FIRST}")
    expect(page).to_have_title("El emisor")
    visit.context.close()
    assert visit.complaints == []
