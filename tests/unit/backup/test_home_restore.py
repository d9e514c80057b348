"""A home is restored whole or not at all, and only from a backup that is as it was written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.backup import manifest as manifest_module
from ipp.backup.manifest import (
    MANIFEST_NAME,
    DamagedBackupError,
    Manifest,
    read_manifest,
    verify_files,
)
from ipp.errors import BusyError, InvalidInputError
from tests.unit.backup.home import build_home, ignore, read_files, restore


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup, to be copied before it is damaged."""
    root = tmp_path_factory.mktemp("backup")
    build_home(root).back_up(root / "backup")
    return root / "backup"


def flip_byte(file: Path, where: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(where * (len(content) - 1))] ^= 0x40
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, float], object]] = {
    "flip": flip_byte,
    "cut": lambda file, where: os.truncate(file, int(where * (file.stat().st_size - 1))),
    "grow": lambda file, _where: file.write_bytes(file.read_bytes() + b"\0"),
    "delete": lambda file, _where: file.unlink(),
}


@settings(max_examples=40)
@given(data=st.data(), where=st.floats(0, 1), damage=st.sampled_from(sorted(DAMAGES)))
def test_a_damaged_file_is_named_and_nothing_is_restored(
    folder: Path, data: st.DataObject, where: float, damage: str
) -> None:
    manifest = read_manifest(folder)
    path = data.draw(st.sampled_from(sorted(p for p, file in manifest.files.items() if file.size)))
    kept = (folder / path).read_bytes()
    target = folder.parent / "restored"
    try:
        DAMAGES[damage](folder / path, where)
        with pytest.raises(DamagedBackupError) as verified:
            verify_files(folder, manifest, ignore)
        with pytest.raises(DamagedBackupError) as restored:
            restore(folder, target)
        others = [other for other in manifest.files if other != path]
        for message in (verified.value.message, restored.value.message):
            assert path in message
            assert not [other for other in others if f" {other} " in message]
        assert read_files(target) == {}
    finally:
        (folder / path).write_bytes(kept)
        shutil.rmtree(target, ignore_errors=True)


@settings(max_examples=30)
@given(where=st.floats(0, 1))
def test_a_damaged_manifest_is_told(folder: Path, where: float) -> None:
    path = folder / MANIFEST_NAME
    kept = path.read_bytes()
    whole = read_manifest(folder)
    try:
        flip_byte(path, where)
        with suppress(DamagedBackupError, InvalidInputError):
            # White space may differ: it says nothing.
            assert read_manifest(folder) == whole
    finally:
        path.write_bytes(kept)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "backup"))


def test_a_backup_of_a_newer_release_is_refused(copied: Path, tmp_path: Path) -> None:
    manifest = read_manifest(copied)
    Manifest("99.1.0", manifest.created_at, manifest.tables, manifest.files).write(copied)
    with pytest.raises(InvalidInputError, match=r"99\.1\.0"):
        restore(copied, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_manifest_of_a_form_that_nobody_knows_is_refused(copied: Path, tmp_path: Path) -> None:
    document = json.loads((copied / MANIFEST_NAME).read_text())
    (copied / MANIFEST_NAME).write_text(json.dumps({**document, "formato": 2, "otro": []}))
    with pytest.raises(InvalidInputError, match="más nuevo"):
        restore(copied, tmp_path / "restored")


def test_a_backup_of_an_older_release_is_restored(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_module, "own_release", lambda: "0.10.0")
    restore(copied, tmp_path / "restored")


@pytest.mark.parametrize("path", ["/etc/ajeno", "../ajeno", "archivos/../../ajeno"])
def test_a_backup_writes_nothing_outside_the_home(copied: Path, tmp_path: Path, path: str) -> None:
    manifest = read_manifest(copied)
    files = {**manifest.files, path: next(iter(manifest.files.values()))}
    Manifest(manifest.release, manifest.created_at, manifest.tables, files).write(copied)
    with pytest.raises(DamagedBackupError):
        restore(copied, tmp_path / "restored")


@pytest.mark.parametrize("content", ["lakehouse", "procesos", "tesis.txt", ".oculto"])
def test_a_home_with_content_is_left_alone(folder: Path, tmp_path: Path, content: str) -> None:
    target = tmp_path / "restored"
    target.mkdir()
    (target / content).write_text("única copia")
    with pytest.raises(InvalidInputError, match=content):
        restore(folder, target)
    assert read_files(target) == {content: "única copia".encode()}


def test_an_empty_home_keeps_its_rights(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    target.mkdir()
    target.chmod(0o770)
    (target / "lost+found").mkdir()
    restore(folder, target)
    assert target.stat().st_mode & 0o777 == 0o770


def test_a_folder_without_a_backup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no hay un respaldo"):
        restore(tmp_path / "nada", tmp_path / "restored")


def test_one_restores_a_home_at_a_time(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    target.mkdir()
    with FileLock(target / ".restaurando.lock"), pytest.raises(BusyError):
        restore(folder, target)
    restore(folder, target)
