"""Killed at any moment, a backup leaves the earlier one or itself; so does a restoration a home."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ipp.backup.backup_folder import recover_folder
from ipp.backup.manifest import is_backup, read_manifest, verify_files
from tests.unit.backup.home import Home, build_home, ignore, read_files, restore

KILLED: Final = """
import os, signal, sys
from pathlib import Path
from ipp.backup.home_backup import back_up_home
from ipp.backup.home_restore import restore_home
from ipp.settings import Settings

call, home, folder, what, number = sys.argv[1:]
left = int(number)

def count(*_arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

if what == "rename":
    rename = Path.rename
    Path.rename = lambda *arguments: (count(), rename(*arguments))[1]
    count_file = lambda *_arguments: None
else:
    count_file = count
run = {"backup": back_up_home, "restore": restore_home}[call]
run(Settings(Path(home)), Path(folder), count_file)
"""


def run_killed(call: str, home: Path, folder: Path, what: str, number: int) -> bool:
    """Kill a backup or restoration before a file or rename of it; return whether it came so far."""
    arguments = [call, str(home), str(folder), what, str(number)]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert ended.returncode in {0, -signal.SIGKILL}
    return ended.returncode != 0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return build_home(tmp_path)


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> Path:
    home.back_up(tmp_path / "disk" / "backup")
    return tmp_path / "disk" / "backup"


@pytest.mark.parametrize(
    ("what", "number"), [("file", 0), ("file", 9), ("rename", 0), ("rename", 1)]
)
def test_a_killed_backup_leaves_the_earlier_one(
    home: Home, folder: Path, what: str, number: int
) -> None:
    before = read_files(folder)
    home.finish_job("ipp-3")
    assert run_killed("backup", home.settings.home, folder, what, number)
    recover_folder(folder)
    assert read_files(folder) == before
    verify_files(folder, read_manifest(folder), ignore)
    home.back_up(folder)
    verify_files(folder, read_manifest(folder), ignore)
    assert [path.name for path in folder.parent.iterdir()] == ["backup"]


def test_a_killed_first_backup_is_none(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "first"
    assert run_killed("backup", home.settings.home, folder, "file", 9)
    assert not is_backup(folder)
    home.back_up(folder)
    verify_files(folder, read_manifest(folder), ignore)


@pytest.mark.parametrize(
    ("what", "number"),
    [("file", 0), ("file", 9), ("rename", 0), ("rename", 1), ("rename", 2), ("rename", 4)],
)
def test_a_killed_restoration_is_repeated(
    folder: Path, tmp_path: Path, what: str, number: int
) -> None:
    target = tmp_path / "restored"
    assert run_killed("restore", target, folder, what, number)
    assert not (target / "procesos").exists()
    restored, manifest = restore(folder, target)
    assert set(read_files(target)) == set(manifest.files)
    verify_files(target, manifest, ignore)
    assert not [*target.glob(".*")]
    assert restored.runs.has_open_run("ipp-2")


def test_a_killed_restoration_of_another_backup_is_not_mixed_with_this_one(
    home: Home, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "restored"
    assert run_killed("restore", target, folder, "rename", 2)
    home.finish_job("ipp-3")
    home.back_up(tmp_path / "other")
    with pytest.raises(Exception, match="a medias"):
        restore(tmp_path / "other", target)
    restore(folder, target)
