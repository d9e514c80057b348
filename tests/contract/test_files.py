"""What every store of files promises, run on each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipp.errors import NotFoundError
from ipp.files.base import Files
from ipp.files.local import LocalFiles

STORES: dict[str, Callable[[Path], Files]] = {"local": LocalFiles}


@pytest.fixture(params=STORES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return STORES[request.param](tmp_path / "store")


def put(files: Files, key: str, content: bytes) -> None:
    with files.writing(key) as path:
        path.write_bytes(content)


def test_what_was_written_is_read_back(files: Files) -> None:
    put(files, "ipp-raw/ipp-1/a.bin", b"one")
    assert files.local("ipp-raw/ipp-1/a.bin").read_bytes() == b"one"


def test_a_later_write_replaces(files: Files) -> None:
    put(files, "ipp-raw/ipp-1/a.bin", b"one")
    put(files, "ipp-raw/ipp-1/a.bin", b"two")
    assert files.local("ipp-raw/ipp-1/a.bin").read_bytes() == b"two"


def test_nothing_appears_before_the_block_ends_nor_when_it_fails(files: Files) -> None:
    key = "ipp-raw/ipp-1/a.bin"
    put(files, key, b"one")
    with pytest.raises(RuntimeError), files.writing(key) as path:
        path.write_bytes(b"half")
        assert files.local(key).read_bytes() == b"one"
        assert list(files.keys("ipp-raw/")) == [key]
        raise RuntimeError
    assert files.local(key).read_bytes() == b"one"
    assert list(files.keys("ipp-raw/")) == [key]


def test_what_is_not_there_is_not_found(files: Files) -> None:
    with pytest.raises(NotFoundError, match="No existe el archivo"):
        files.local("ipp-raw/ipp-1/none.bin")


@pytest.mark.parametrize("key", ["../outside.bin", "ipp-raw/../../outside.bin"])
def test_no_key_leads_outside(files: Files, key: str, tmp_path: Path) -> None:
    (tmp_path / "outside.bin").write_bytes(b"x")
    with pytest.raises(NotFoundError):
        files.local(key)
    with pytest.raises(NotFoundError):
        put(files, key, b"y")
    assert (tmp_path / "outside.bin").read_bytes() == b"x"


def test_keys_are_those_of_the_prefix_sorted(files: Files) -> None:
    for key in ("ipp-raw/b/2", "ipp-raw/a/1", "ipp-processed/a/1", "ipp-raw/b/1"):
        put(files, key, b"")
    assert list(files.keys("ipp-raw/b/")) == ["ipp-raw/b/1", "ipp-raw/b/2"]
    assert list(files.keys("ipp-raw/")) == ["ipp-raw/a/1", "ipp-raw/b/1", "ipp-raw/b/2"]
    assert list(files.keys("none/")) == []


def test_an_address_names_the_key(files: Files) -> None:
    assert files.address("ipp-raw/ipp-1/a.bin").endswith("ipp-raw/ipp-1/a.bin")
