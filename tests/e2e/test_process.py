"""The command line as people use it: real processes, and what survives when one is killed."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ipp.core.tables import COUNTERS, RESULTS, SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from tests.e2e.command import IPP, read_lines, start_command
from tests.sheets import rows_of as sheet_rows

FIRST = "7051602"


def ipp(home: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*IPP, *arguments],
        env=os.environ | {"IPP_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small chain."""
    folder = tmp_path_factory.mktemp("home") / "mis datos, año 2026"
    ipp(folder, "sample", "--mostradores", "6", "--materiales", "300", "--dias", "120")
    return folder


def test_from_the_sample_to_a_file_in_a_reader(home: Path, tmp_path: Path) -> None:
    assert "Todos los 6 mostradores tienen configuración" in ipp(home, "validate", "--todos").stdout
    document = json.loads(
        ipp(home, "run", "--mostradores", f"000{FIRST}, 7051603.0", "--json").stdout
    )
    assert document["mostradores"] == [FIRST, "7051603"]
    job = document["job_id"]
    assert job in ipp(home, "results").stdout
    for ending in ("xlsx", "csv", "parquet"):
        ipp(home, "results", job, "--salida", str(tmp_path / f"out.{ending}"))
    parquet = pl.read_parquet(tmp_path / "out.parquet")
    assert parquet.columns == [c.label for c in RESULTS.columns]
    assert parquet["importe_optimo"].sum() == pytest.approx(
        sum(s["investment"] for s in document["summary"]), abs=0.02
    )
    csv = pl.read_csv(tmp_path / "out.csv")
    assert csv["optimo"].to_list() == parquet["optimo"].to_list()
    sheet = sheet_rows(tmp_path / "out.xlsx")
    assert [row[sheet[0].index("motivo")] for row in sheet[1:]] == parquet["motivo"].to_list()


def test_progress_is_json_lines_where_there_is_no_terminal(home: Path) -> None:
    lines = [
        json.loads(line) for line in ipp(home, "run", "--mostradores", FIRST).stderr.splitlines()
    ]
    assert [(line["etapa"], line["hechos"], line["total"]) for line in lines] == [
        (stage, done, 1) for stage in ("normalizador", "factor", "publicacion") for done in (0, 1)
    ]
    assert {line["mostrador"] for line in lines if line["hechos"]} == {int(FIRST)}


def test_progress_is_a_bar_on_a_terminal(home: Path) -> None:
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [*IPP, "run", "--todos"],
        env=os.environ | {"IPP_HOME": str(home), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=other_end,
    ) as process:
        os.close(other_end)
        shown = b""
        try:
            while chunk := os.read(terminal, 65_536):
                shown += chunk
        except OSError:
            pass  # the other end was closed: the process is done
        finally:
            os.close(terminal)
    assert process.returncode == 0
    text = shown.decode()
    for stage in ("normalizador", "factor", "publicación"):
        assert stage in text
    assert "6/6" in text
    assert "━" in text
    assert "{" not in text


def files_of(home: Path) -> dict[str, str]:
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((home / "archivos").rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def rows_of(home: Path) -> pl.DataFrame:
    return (
        DeltaLakehouse(home / "lakehouse")
        .scan_table(RESULTS)
        .sort("job_id", "mostrador", "material")
        .collect()
    )


@pytest.mark.parametrize("lines", [1, 3, 6, 8, 11, 14, 16, 20])
def test_a_run_that_is_killed_ends_the_same_when_it_is_resumed(
    home: Path, tmp_path: Path, lines: int
) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    shutil.copytree(
        home / "lakehouse" / "invenadro" / "bronze", killed / "lakehouse" / "invenadro" / "bronze"
    )
    with start_command(killed, "run", "--todos") as process:
        read_lines(process, lines)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (asked,) = (killed / "archivos").rglob("solicitud.json")
    job = asked.parent.name
    # The same request, in a place where nobody killed anything.
    shutil.copytree(
        killed / "lakehouse" / "invenadro" / "bronze",
        undisturbed / "lakehouse" / "invenadro" / "bronze",
    )
    (undisturbed / asked.relative_to(killed)).parent.mkdir(parents=True)
    shutil.copy(asked, undisturbed / asked.relative_to(killed))
    for place in (killed, undisturbed):
        ipp(place, "run", "--reanudar", job)
    assert files_of(killed) == files_of(undisturbed)
    assert rows_of(killed).equals(rows_of(undisturbed))
    assert len(rows_of(killed)) == 6 * 300


@pytest.mark.parametrize("lines", [1, 4, 9, 15])
def test_an_interrupted_run_says_how_to_go_on(home: Path, lines: int) -> None:
    with start_command(home, "run", "--todos") as process:
        read_lines(process, lines)
        process.send_signal(signal.SIGINT)
        rest = process.communicate()[1]
    assert process.returncode == 130
    assert "Error: Interrumpido.\n  → Siga con `ipp run --reanudar ipp-" in rest
    assert "Traceback" not in rest


def test_two_runs_at_once_each_publish_their_own(home: Path) -> None:
    processes = [
        start_command(
            home, "run", "--todos", "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    documents = [json.loads(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    counts = rows_of(home).group_by("job_id").len()
    for document in documents:
        assert counts.filter(job_id=document["job_id"])["len"].item() == 6 * 300


def test_two_processes_resuming_one_job_leave_what_one_leaves(home: Path, tmp_path: Path) -> None:
    job = json.loads(ipp(home, "run", "--todos", "--json").stdout)["job_id"]
    before, rows = files_of(home), rows_of(home)
    # The job as an older version left it: its files, and no job in the store.
    place = tmp_path / "older"
    shutil.copytree(home, place)
    shutil.rmtree(place / "procesos")
    shutil.rmtree(place / "lakehouse" / "invenadro" / "gold")
    resumed = [start_command(place, "run", "--reanudar", job) for _ in range(2)]
    said = [process.communicate()[1] for process in resumed]
    assert [process.returncode for process in resumed] == [0, 0], said
    assert files_of(place) == before
    assert rows_of(place).equals(rows.filter(job_id=job))


def test_two_imports_at_once_lose_no_row(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "home"
    for mostrador in range(1, 7):
        (tmp_path / f"{mostrador}.csv").write_text(f"mostrador,codigo_postal\n{mostrador},6000\n")
    imports = [
        start_command(
            place, "import", "mostradores", str(tmp_path / f"{mostrador}.csv"),
            stderr=subprocess.DEVNULL,
        )
        for mostrador in range(1, 7)
    ]  # fmt: skip
    assert [process.wait() for process in imports] == [0] * 6
    known = DeltaLakehouse(place / "lakehouse").scan_table(COUNTERS).collect()["mostrador"]
    assert sorted(known) == [1, 2, 3, 4, 5, 6]


def test_the_help_needs_none_of_the_heavy_packages() -> None:
    code = (
        "import sys; from ipp.cli import run_cli; run_cli(['--help']); "
        "print([m for m in ('polars', 'numpy', 'deltalake', 'xlsxturbo', 'fastexcel')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_import_leaves_no_trace_when_it_is_killed(home: Path, tmp_path: Path) -> None:
    """Killed at any moment, the table is as before or as after, and the same file then goes in."""
    place = tmp_path / "home"
    shutil.copytree(home, place)
    lakehouse = DeltaLakehouse(place / "lakehouse")
    rows = 200_000
    file = tmp_path / "ventas.csv"
    before = lakehouse.scan_table(SELLOUT).sort("date", "mostrador", "material").collect()
    generator = random.Random(5)
    new = before.with_columns(pl.col("units") + 1).head(rows)
    new.rename(dict(SELLOUT.labels)).write_csv(file)
    for _ in range(4):
        with start_command(
            place, "import", "sellout", str(file), stderr=subprocess.DEVNULL
        ) as process:
            try:
                process.wait(timeout=generator.uniform(0.2, 1.0))
            except subprocess.TimeoutExpired:
                process.kill()
        now = lakehouse.scan_table(SELLOUT).sort("date", "mostrador", "material").collect()
        assert now.equals(before) or now["units"].sum() == before["units"].sum() + len(new)
    ipp(place, "import", "sellout", str(file))
    after = lakehouse.scan_table(SELLOUT).collect()
    assert after["units"].sum() == before["units"].sum() + len(new)
    assert len(after) == len(before)
