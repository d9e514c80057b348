"""Products of unknown stock: every suggested order counts the products that it leaves out."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import openpyxl
import polars as pl
import pytest

from ipp.core.tables import MATERIALS, RESULTS, STOCK
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.e2e.command import IPP
from tests.e2e.server import FIRST, SECOND, run_server, wait_for_end

KNOWN = "7051604"
"""A mostrador of which every product's stock is given."""

ASKED = [FIRST, SECOND, KNOWN]


class LeftOut(NamedTuple):
    """What an order leaves out of a mostrador, or of all."""

    products: int
    materials: frozenset[int]
    value: float
    every: bool

    @property
    def figures(self) -> tuple[str, str]:
        """Both figures as people read them."""
        return f"{self.products:,}", f"${self.value:,.2f}"


def left_out(rows: pl.DataFrame) -> LeftOut:
    wanted = rows.filter(pl.col("optimum") > 0)
    unknown = wanted.filter(pl.col("on_hand").is_null())
    cents = sum(row["optimum"] * round(row["price"] * 100) for row in unknown.iter_rows(named=True))
    return LeftOut(
        len(unknown), frozenset(unknown["material"]), cents / 100, len(unknown) == len(wanted)
    )


@pytest.fixture(scope="module")
def home(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chain with known stock for part of `FIRST`, none of `SECOND`, all of `KNOWN`."""
    place = tmp_path_factory.mktemp("stock") / "home"
    shutil.copytree(chain, place)
    lakehouse = DeltaLakehouse(place / "lakehouse")
    some = (
        lakehouse.scan_table(STOCK)
        .filter(pl.col("mostrador") == int(FIRST), pl.col("material") % 3 > 0)
        .collect()
    )
    materials = lakehouse.scan_table(MATERIALS).select("material")
    every = STOCK.conform_rows(
        materials.with_columns(mostrador=pl.lit(int(KNOWN)), on_hand=1.0, in_transit=0.0)
    )
    lakehouse.replace_table(STOCK, pl.concat([some.lazy(), every]))
    return place


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[httpx2.Client]:
    with run_server(home) as server, httpx2.Client(base_url=server.address, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def job(client: httpx2.Client) -> str:
    job_id: str = client.post("/ipp/start", json={"mostradores": ASKED}).json()["job_id"]
    assert wait_for_end(client, job_id)["status"] == "COMPLETED"
    return job_id


@pytest.fixture(scope="module")
def expected(home: Path, job: str) -> dict[str, LeftOut]:
    """What is left out, by mostrador, and of all under an empty name: from the rows, one by one."""
    rows = DeltaLakehouse(home / "lakehouse").scan_table(RESULTS, [job]).collect()
    found = {
        mostrador: left_out(rows.filter(pl.col("mostrador") == int(mostrador)))
        for mostrador in ASKED
    }
    assert found[FIRST].products > 0
    assert [each.every for each in found.values()] == [False, True, False]
    return {**found, "": left_out(rows)}


def ipp(home: Path, *arguments: str) -> str:
    environ = os.environ | {"IPP_HOME": str(home)}
    return subprocess.run(
        [*IPP, *arguments], env=environ, capture_output=True, text=True, check=True
    ).stdout


def read(page: str) -> str:
    """What a person reads of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_command_line_says_it_of_each_mostrador_and_of_all(
    home: Path, job: str, expected: dict[str, LeftOut]
) -> None:
    for said in (ipp(home, "run", "--mostradores", ",".join(ASKED)), ipp(home, "results", job)):
        lines = [line for line in said.splitlines() if "pedido" in line]
        by_money = sorted((FIRST, SECOND), key=lambda name: -expected[name].value)
        assert [line.partition(":")[0] for line in lines] == [*by_money, "Total"]
        for line, name in zip(lines, (*by_money, ""), strict=True):
            found = expected[name]
            for figure in found.figures:
                assert re.search(rf"(?<![\d,]){re.escape(figure)}(?!\d|,\d)", line)
            assert ("no se sugiere pedido" in line) == found.every
    assert "pedido" not in ipp(home, "results", job, "--mostrador", KNOWN)


def test_the_summary_has_both_figures_for_programs(
    home: Path, client: httpx2.Client, job: str, expected: dict[str, LeftOut]
) -> None:
    ours = json.loads(ipp(home, "results", job, "--json"))["summary"]
    theirs = client.get(f"/ipp/results/{job}").json()["summary"]["mostradores"]
    for summary in (ours, theirs):
        told = {
            str(row["mostrador"]): (
                row["products_with_unknown_stock"],
                row["value_with_unknown_stock"],
            )
            for row in summary
        }
        assert told == {name: (expected[name].products, expected[name].value) for name in ASKED}


def test_the_pages_say_it_and_lead_to_the_products(
    client: httpx2.Client, job: str, expected: dict[str, LeftOut]
) -> None:
    def notice(page: str) -> str:
        return read("".join(re.findall(r'<section class="notice".*?</section>', page, re.DOTALL)))

    whole = client.get(f"/procesos/{job}/resultados").text
    for figure in expected[""].figures:
        assert figure in notice(whole)
    for mostrador in ASKED:
        found = expected[mostrador]
        page = client.get(f"/procesos/{job}/resultados/{mostrador}").text
        links = set(re.findall(r'href="([^"]+\?sin_existencia=1)#productos"', page))
        if not found.products:
            assert (notice(page), links) == ("", set())
            continue
        for figure in found.figures:
            assert figure in notice(page)
        assert ("no se sugiere pedido" in notice(page)) == found.every
        (link,) = links
        assert f'href="{link}#productos">{found.figures[0]}</a>' in whole, (
            "the job's page leads there too"
        )
        listed = client.get(link, params={"sin_existencia": "1", "orden": "material"}).text
        assert f"{found.products} productos" in read(listed)
        assert {int(each) for each in re.findall(r"/productos/(\d+)\"", listed)} <= found.materials
        assert re.search(r'<input type="checkbox"[^>]* checked>', listed)


@pytest.mark.parametrize("mostrador", ["", FIRST])
def test_the_workbooks_name_the_products_beside_their_order(
    mostrador: str,
    home: Path,
    client: httpx2.Client,
    job: str,
    expected: dict[str, LeftOut],
    tmp_path: Path,
) -> None:
    one = {"mostrador": mostrador} if mostrador else {}
    saved, sent = tmp_path / "guardado.xlsx", tmp_path / "descargado.xlsx"
    ipp(
        home,
        "results",
        job,
        "--salida",
        str(saved),
        *(["--mostrador", mostrador] if mostrador else []),
    )
    sent.write_bytes(
        client.get(f"/ipp/results/{job}/download", params={"format": "xlsx", **one}).content
    )
    for file in (saved, sent):
        sheet = openpyxl.load_workbook(file).active
        assert sheet is not None
        head, *rows = sheet.iter_rows(values_only=True)
        names = [str(name) for name in head]
        assert names[names.index("pedido_sugerido") + 1] == "motivo_sin_pedido"
        noted = [
            row
            for row in (dict(zip(names, each, strict=True)) for each in rows)
            if row["motivo_sin_pedido"]
        ]
        assert {row["pedido_sugerido"] for row in noted} == {None}
        for name in [mostrador] if mostrador else ASKED:
            mine = [row for row in noted if str(row["mostrador"]) == name]
            assert {row["material"] for row in mine} == expected[name].materials
            assert sum(row["importe_optimo"] for row in mine) == pytest.approx(
                expected[name].value, abs=0.005
            )
            assert all(
                figure in row["motivo_sin_pedido"]
                for row in mine
                for figure in expected[name].figures
            )
