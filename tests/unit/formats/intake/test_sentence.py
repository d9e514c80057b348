"""What ``ipp import`` says of a file that was taken."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from ipp.cli import run_cli
from ipp.core.tables import COUNTERS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("IPP_HOME", str(folder))
    counters = pl.LazyFrame({"mostrador": range(1, 4), "postal_code": [6000] * 3})
    DeltaLakehouse(folder / "lakehouse").replace_table(COUNTERS, counters)
    return folder


@pytest.mark.usefixtures("home")
def test_what_was_not_used_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.csv"
    file.write_text("mostrador,tipo inventario,monto desedo,incluye generico,x\n1,SPP,9,sí,\n")
    assert run_cli(["import", "configuraciones", str(file)]) == 0
    assert capsys.readouterr().out == (
        "configuraciones: 1 renglón leído, 1 nuevo, 0 cambiados.\n"
        "Columnas que no se usaron: «monto desedo» (¿monto_deseado?), «incluye generico» "
        "(¿incluye_genericos?), «x».\n"
    )
    assert run_cli(["import", "configuraciones", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ignored_columns"] == [
        "monto desedo",
        "incluye generico",
        "x",
    ]


@pytest.mark.usefixtures("home")
def test_one_and_several_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.csv"
    file.write_text("mostrador,cp\n1,6001\n7,6000\n8,x\n")
    assert run_cli(["import", "mostradores", str(file), "--permitir-rechazos"]) == 2
    said = capsys.readouterr().out
    assert said.startswith("mostradores: 3 renglones leídos, 1 nuevo, 1 cambiado; 1 rechazado, en ")
