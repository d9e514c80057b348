"""``ipp audit``: who changed what, for people and as JSON."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ipp.cli import run_cli

Audit = Callable[..., str]


@pytest.fixture
def audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Audit:
    """Return a function that runs the command in a home where two files were imported."""
    monkeypatch.setenv("IPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    counters, first = tmp_path / "mostradores.csv", tmp_path / "configuraciones.csv"
    counters.write_text("mostrador,nombre,codigo_postal\n1,A,6700\n2,B,6700\n")
    first.write_text("mostrador,monto_deseado\n1,5000\n2,6000\n")
    for _ in range(2):  # the second time changes nothing
        assert run_cli(["import", "mostradores", str(counters)]) == 0
        assert run_cli(["import", "configuraciones", str(first)]) == 0
    capsys.readouterr()

    def audit(*options: str, status: int = 0) -> str:
        assert run_cli(["audit", *options]) == status
        out, err = capsys.readouterr()
        return err if status else out

    return audit


def test_it_shows_the_newest_first_with_who_and_what(audit: Audit) -> None:
    newest, oldest = json.loads(audit("--json"))
    assert (newest["objeto"], oldest["objeto"]) == ("configuraciones", "mostradores")
    assert newest["sub"] == "local"
    assert newest["quien"] == getpass.getuser()
    assert newest["puerta"] == "línea de comandos"
    assert newest["detalle"]["nuevos"] == 2
    table = audit()
    assert "importar configuraciones" in table
    assert "nuevos: 2" in table
    assert len(json.loads(audit("--json", "--limite", "1"))) == 1


def test_it_shows_each_row_of_a_file(audit: Audit) -> None:
    (newest,) = json.loads(audit("--json", "--objeto", "configuraciones"))
    assert newest["detalle"]["renglones"] == 2
    assert newest["id"] in audit("--objeto", "configuraciones")
    rows = json.loads(audit("--json", "--importacion", newest["id"]))
    assert [(row["clave"], row["antes"], row["despues"]["monto_deseado"]) for row in rows] == [
        ("2", None, 6_000),
        ("1", None, 5_000),
    ]
    assert "monto_deseado: 6,000" in audit("--importacion", newest["id"])


def test_it_is_filtered(audit: Audit) -> None:
    for options, found in (
        (["--objeto", "mostradores"], ["mostradores"]),
        (["--mostrador", "1"], ["configuraciones"]),
        (["--texto", "mostradores.CSV"], ["mostradores"]),
        (["--desde", "2999-01-01"], []),
    ):
        assert [one["objeto"] for one in json.loads(audit("--json", *options))] == found
    assert "No hay cambios" in audit("--desde", "2999-01-01")


@pytest.mark.parametrize(
    "options",
    [["--objeto", "otra"], ["--limite", "0"], ["--desde", "ayer"], ["--mostrador", "uno"]],
)
def test_what_cannot_be_is_refused(audit: Audit, options: list[str]) -> None:
    assert "Error" in audit(*options, status=2)
