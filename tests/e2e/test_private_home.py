"""A new home is its owner's alone; one that others have rights to stays as it is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import IPP
from tests.e2e.server import FIRST, run_server


def run_command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IPP, *arguments],
        env=os.environ | {"IPP_HOME": str(home)},
        umask=0o022, check=True, capture_output=True, text=True,
    )  # fmt: skip


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


SIZE = ("--mostradores", "2", "--materiales", "20", "--dias", "30")


def test_a_new_home_and_all_in_it_are_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_command(home, "sample", *SIZE)
    run_command(home, "run", "--mostradores", FIRST)
    found = {path: rights(path) for path in (home, *home.rglob("*"))}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}


def test_what_a_person_saves_elsewhere_is_as_readable_as_its_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_command(home, "sample", *SIZE)
    job = json.loads(run_command(home, "run", "--todos", "--json").stdout)["job_id"]
    for mode, expected in ((0o755, 0o644), (0o750, 0o640), (0o700, 0o600), (0o777, 0o644)):
        folder = tmp_path / f"{mode:o}"
        folder.mkdir()
        folder.chmod(mode)
        run_command(home, "results", job, "--salida", str(folder / "a.csv"))
        assert rights(folder / "a.csv") == expected


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o700])
def test_an_existing_home_keeps_its_rights_and_an_open_one_is_told(
    tmp_path: Path, mode: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    run_command(home, "sample", *SIZE)
    assert rights(home) == mode
    assert rights(home / "lakehouse") == (0o700 if mode == 0o700 else 0o755)
    with run_server(home) as server:
        pass
    assert ("every account of this machine can read" in server.log.read_text()) == (mode == 0o755)
