"""What is written on the way is gone with its process, and nobody's while somebody needs it."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ipp.storage.files.scratch import Scratch

HOLDER = """
import sys
from pathlib import Path
from ipp.storage.files.scratch import Scratch

with Scratch(Path(sys.argv[1])).temporary_folder() as folder:
    (folder / "half").write_text("half")
    print(folder, flush=True)
    sys.stdin.read()
"""


def holding(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a folder until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_there_for_the_time_of_a_block(tmp_path: Path) -> None:
    root = tmp_path / "home" / "borradores"
    with Scratch(root).temporary_folder() as one, Scratch(root).temporary_folder() as other:
        assert one != other
        assert (list(one.iterdir()), one.parent) == ([], root)
        (one / "below").mkdir()
        (one / "below" / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_gone_also_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Scratch(tmp_path).temporary_folder():
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_put_beside_a_folder_stays(tmp_path: Path) -> None:
    with Scratch(tmp_path / "home" / "borradores").temporary_folder():
        (tmp_path / "home" / "lakehouse").mkdir()
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["lakehouse"]


def test_what_a_killed_process_left_is_swept_and_what_living_ones_use_is_not(
    tmp_path: Path,
) -> None:
    dead, left = holding(tmp_path)
    living, used = holding(tmp_path)
    dead.kill()
    dead.communicate()
    with Scratch(tmp_path).temporary_folder() as own:
        assert left.exists()
        Scratch(tmp_path).remove_abandoned()
        assert not left.exists()
        assert (used / "half").read_text() == "half"
        assert own.exists()
        assert {path.name for path in tmp_path.iterdir()} == {
            f"{path.name}{ending}" for path in (own, used) for ending in ("", ".lock")
        }
    living.communicate()
    assert living.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_makes_nothing_and_minds_nothing_that_is_not_scratch(tmp_path: Path) -> None:
    Scratch(tmp_path / "none").remove_abandoned()
    assert not (tmp_path / "none").exists()
    (tmp_path / "otro.txt").touch()
    (tmp_path / "carpeta").mkdir()
    Scratch(tmp_path).remove_abandoned()
    assert {path.name for path in tmp_path.iterdir()} == {"otro.txt", "carpeta"}


def test_a_folder_may_be_given_back_by_another_thread(tmp_path: Path) -> None:
    block = Scratch(tmp_path).temporary_folder()
    folders: list[Path] = []
    thread = threading.Thread(target=lambda: folders.append(block.__enter__()))
    thread.start()
    thread.join()
    Scratch(tmp_path).remove_abandoned()
    assert folders[0].exists()
    block.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened_stops_no_sweep(tmp_path: Path) -> None:
    process, left = holding(tmp_path)
    process.kill()
    process.communicate()
    (tmp_path / "0.lock").mkdir()
    Scratch(tmp_path).remove_abandoned()
    assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["0.lock"]


def test_makers_and_sweepers_at_once_never_take_what_is_in_use(tmp_path: Path) -> None:
    done = threading.Event()
    wrong: list[str] = []

    def make() -> None:
        for _ in range(150):
            with Scratch(tmp_path / "home" / "borradores").temporary_folder() as folder:
                (folder / "file").touch()
                if not (folder / "file").exists():
                    wrong.append(folder.name)

    def sweep() -> None:
        while not done.is_set():
            Scratch(tmp_path / "home" / "borradores").remove_abandoned()

    makers = [threading.Thread(target=make) for _ in range(2)]
    sweeper = threading.Thread(target=sweep)
    for thread in (*makers, sweeper):
        thread.start()
    for thread in makers:
        thread.join()
    done.set()
    sweeper.join()
    assert not wrong
    assert [*tmp_path.glob("home/borradores/*")] == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_where_nothing_can_be_written_the_folder_is_one_of_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    root = tmp_path / "borradores"
    original = Path.mkdir

    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        if path.is_relative_to(root):
            raise OSError(number, "no", str(path))
        original(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with Scratch(root).temporary_folder() as folder:
        assert folder.is_dir()
        assert not folder.is_relative_to(tmp_path)
    assert not folder.exists()
    with pytest.raises(OSError, match="mine"), Scratch(root).temporary_folder():
        raise OSError(number, "mine")
