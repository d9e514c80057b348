"""The command line: help and errors in Spanish, exit statuses, and inputs left unchanged."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from pathlib import Path

import polars as pl
import pytest

from ipp.cli import run_cli
from ipp.core.tables import COUNTERS, MATERIALS
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

COMMANDS = ("import", "validate", "run", "results", "factor", "compact", "vacuum", "sample")
ENGLISH = re.compile(
    r"\b(usage|commands?|parameters?|arguments?|options?|default|required|choices|display|exit|error:|missing|"
    r"unknown|invalid|unable|must|float|int|str|path|bool|none)\b",
    re.IGNORECASE,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("IPP_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "100")
    return folder


@pytest.mark.parametrize(
    "arguments", [[], *([command] for command in COMMANDS)], ids=lambda a: " ".join(a) or "ipp"
)
def test_the_help_is_in_spanish(
    arguments: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli([*arguments, "--ayuda"]) == 0
    shown = capsys.readouterr().out
    words = re.sub(r"--[a-z-]+|`[^`]*`", "", shown)
    assert ENGLISH.findall(words) == []
    assert "Uso:" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nada"], "No existe el comando 'nada'."),
        (["run", "--nada"], "No existe la opción --nada."),
        (["factor"], "Falta ARCHIVO."),
        (["factor", "x.csv", "--dias", "muchos"], "--dias «muchos» no es un número"),
        (["factor", "x.csv", "--dias"], "A --dias le falta un valor."),
        (["factor", "x.csv", "--dias", "1", "--dias", "2"], "--dias está dos veces."),
        (["factor", "x.csv", "y.csv"], "Sobra 'y.csv'."),
        (["factor", "x.csv"], "No existe el archivo x.csv."),
        (["factor", "x.csv", "--factor", "0.115"], "--factor 0.115 no es un valor posible."),
        (["factor", "x.csv", "--factor", "1"], "--factor 1 no es un valor posible."),
        (["factor", "x.csv", "--monto", "-5"], "--monto -5 no es un valor posible."),
        (["run"], "Hay que decir qué mostradores, de una sola manera."),
        (
            ["run", "--todos", "--mostradores", "1"],
            "Hay que decir qué mostradores, de una sola manera.",
        ),
        (["run", "--mostradores", ""], "La lista de mostradores está vacía."),
        (["run", "--mostradores", " , "], "La lista de mostradores está vacía."),
        (["run", "--mostradores", "1,abc,1e9,-3"], "No son números de mostrador: abc, 1e9, -3."),
        (["run", "--mostradores", "5"], "Sin configuración: 5."),
        (["run", "--todos"], "No hay ningún mostrador con configuración."),
        (["run", "--todos", "--corte", "31/31/2026"], "--corte 31/31/2026 no es una fecha."),
        (["run", "--todos", "--joroba", "2"], "--joroba 2 no es un valor posible."),
        (
            ["run", "--reanudar", "ipp-x", "--todos"],
            "--reanudar y --reintentar ya saben sus mostradores.",
        ),
        (["run", "--reanudar", "../x"], "Revise el job_id ../x."),
        (["run", "--archivo", "no.csv"], "No existe el archivo no.csv."),
        (["results", "ipp-nada"], "Job no encontrado: ipp-nada."),
        (["results", "--salida", "x.csv"], "Falta el job_id."),
        (["import", "ventas", "x.csv"], "No existe la tabla ventas."),
        (["import", "sellout", "x.csv"], "la tabla mostradores está vacía"),
        (["import", "mostradores", "x.csv"], "No existe el archivo x.csv."),
        (["compact", "--tabla", "ventas"], "No existe la tabla ventas."),
        (["vacuum", "--tabla", "ventas"], "No existe la tabla ventas."),
        (["vacuum", "--dias", "0"], "--dias 0 no es posible."),
        (["vacuum", "--dias", "8"], "--dias 8 no es posible."),
        (["sample", "--mostradores", "0"], "--mostradores 0 no es posible."),
        (["sample", "--materiales", "100001"], "--materiales 100001 no es posible."),
        (["sample", "--dias", "0"], "--dias 0 no es posible."),
        (["sample", "--semilla", "-1"], "--semilla -1 no es posible."),
        (["sample", "--corte", "ayer"], "--corte ayer no es una fecha."),
    ],
)
def test_what_cannot_be_used_is_said_in_spanish_and_ends_with_2(
    arguments: list[str], said: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run_cli(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("Error: ")
    assert said in captured.err
    assert "\n  → " in captured.err
    assert captured.out == ""
    assert not home.exists()


def stock_tables(home: Path) -> None:
    lakehouse = DeltaLakehouse(home / "lakehouse")
    lakehouse.replace_table(
        COUNTERS, pl.LazyFrame({"mostrador": [7_051_602], "postal_code": [6000]})
    )
    lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": [11]}))


def test_refused_rows_end_with_2_and_say_where_the_list_is(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock_tables(home)
    file = tmp_path / "ventas.csv"
    file.write_text(
        "mostrador,material,fecha,piezas\n7051602,11,2026-01-31,3\n7051602,99,2026-01-31,3\n"
    )
    assert run_cli(["import", "sellout", str(file)]) == 2
    said = capsys.readouterr().err
    assert "fila 3, material «99»" in said
    assert "--permitir-rechazos" in said
    assert (home / "rechazos" / "rechazos-sellout-ventas.csv").is_file()
    assert run_cli(["import", "sellout", str(file), "--permitir-rechazos", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["rows_read"] == 2
    assert report["rows_accepted"] == 1
    assert report["rows_rejected"] == 1
    assert report["rows_added"] == 1


def test_what_was_not_used_of_a_file_is_said(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock_tables(home)
    file = tmp_path / "c.csv"
    file.write_text("mostrador,tipo inventario,monto desedo,x\n7051602,SPP,9,\n")
    assert run_cli(["import", "configuraciones", str(file)]) == 0
    assert "«monto desedo» (¿monto_deseado?), «x»" in " ".join(capsys.readouterr().out.split())
    assert run_cli(["import", "configuraciones", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ignored_columns"] == ["monto desedo", "x"]


def test_upkeep_says_what_it_did(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stock_tables(home)
    assert run_cli(["compact"]) == 0
    assert "no hay nada que compactar" in capsys.readouterr().out
    assert run_cli(["vacuum"]) == 0
    assert "No hay nada que borrar" in capsys.readouterr().out
    left = Path(DeltaLakehouse(home / "lakehouse").address(MATERIALS)) / "part-0.zstd.parquet#1"
    left.write_bytes(b"half of a file")
    os.utime(left, (0, 0))
    assert run_cli(["vacuum", "--tabla", "mostradores", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"mostradores": {"files": 0, "size": 0}}
    assert run_cli(["vacuum"]) == 0
    assert re.search(r"materiales +1 +0\.0", capsys.readouterr().out)
    assert not left.exists()


def test_a_vacuum_tells_what_jobs_left_and_asks_for_a_possible_retention(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "archivos" / "ipp-raw" / "ipp-forgotten"
    folder.mkdir(parents=True)
    (folder / "7.parquet").write_bytes(b"x" * 300_000)
    for path in (folder / "7.parquet", folder):
        os.utime(path, (0, 0))
    assert run_cli(["vacuum"]) == 0
    assert re.search(r"archivos +1 +0\.3", capsys.readouterr().out)
    assert not folder.exists()
    assert run_cli(["vacuum", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["archivos"] == {"files": 0, "size": 0}
    assert (document["ejecuciones"], document["procesos"]) == (0, [])
    assert run_cli(["vacuum", "--resultados", "6"]) == 2
    assert "7 días o más" in capsys.readouterr().err
    monkeypatch.setenv("IPP_RETENTION_DAYS", "3")
    assert run_cli(["vacuum"]) == 2
    assert run_cli(["vacuum", "--resultados", "30"]) == 0


def test_a_compaction_without_a_terminal_writes_no_progress(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock_tables(home)
    assert run_cli(["compact"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "content",
    [
        "mostrador\n0007051602\n7051603.0\n",
        "7051602\n7051603\n",
        "Cliente;x\n7051602;1\n7051603;2\n",
    ],
)
def test_ids_come_from_a_file_with_or_without_a_heading(
    content: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ids.csv"
    file.write_text(content)
    assert run_cli(["validate", "--archivo", str(file), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["invalidClients"] == ["7051602", "7051603"]
    assert answer == answer | {
        "status": "all_invalid", "mode": "manual", "validClients": [], "total": 2, "validated": 0,
        "message": "Ninguno de los 2 mostradores tiene configuración",
    }  # fmt: skip


def test_more_than_ten_thousand_ids_are_too_many() -> None:
    assert len(parse_counter_ids(range(1, 10_001))) == 10_000
    with pytest.raises(Exception, match="10,001"):
        parse_counter_ids(range(1, 10_002))


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--version"]) == 0
    assert capsys.readouterr().out.strip() == "0.1.0"


def test_dates_in_the_future_are_those_of_today(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock_tables(home)
    tomorrow = dt.datetime.now().astimezone().date() + dt.timedelta(days=2)
    file = tmp_path / "ventas.csv"
    file.write_text(f"mostrador,material,fecha,piezas\n7051602,11,{tomorrow},3\n")
    assert run_cli(["import", "sellout", str(file)]) == 2
    assert "futuro" in capsys.readouterr().err
