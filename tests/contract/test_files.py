"""What every store of files promises, run on each of them."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipp.errors import NotFoundError, UnavailableError
from ipp.storage.files.file_store import FileStore
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.s3_files import S3Files
from ipp.storage.files.volume_files import VolumeFiles
from tests.cloud.aws import client_of
from tests.waiting import PATIENCE_SECONDS


def local(folder: Path, _request: pytest.FixtureRequest) -> FileStore:
    return LocalFiles(folder / "store")


def volume(folder: Path, _request: pytest.FixtureRequest) -> FileStore:
    return VolumeFiles(folder / "store", folder / "passing")


def s3(folder: Path, request: pytest.FixtureRequest) -> S3Files:
    client = client_of(request.getfixturevalue("aws"), "s3")
    buckets = {top: f"{uuid.uuid4()}-{top}" for top in ("ipp-raw", "ipp-processed")}
    for bucket in buckets.values():
        client.create_bucket(Bucket=bucket)
    return S3Files(lambda: client, buckets, folder / "store")


STORES: dict[str, Callable[[Path, pytest.FixtureRequest], FileStore]] = {
    "local": local,
    "volume": volume,
    "s3": s3,
}


@pytest.fixture(params=STORES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    return STORES[request.param](tmp_path, request)


def put(files: FileStore, key: str, content: bytes) -> None:
    with files.write_object(key) as path:
        path.write_bytes(content)


def test_what_was_written_is_read_back(files: FileStore) -> None:
    put(files, "ipp-raw/ipp-1/a.bin", b"one")
    assert files.local_path("ipp-raw/ipp-1/a.bin").read_bytes() == b"one"


def test_a_later_write_replaces(files: FileStore) -> None:
    put(files, "ipp-raw/ipp-1/a.bin", b"one")
    put(files, "ipp-raw/ipp-1/a.bin", b"two")
    assert files.local_path("ipp-raw/ipp-1/a.bin").read_bytes() == b"two"


@pytest.mark.parametrize("kind", [local, s3])  # a volume's writer is the only one of its job
def test_those_who_write_the_same_at_once_all_do(
    tmp_path: Path, request: pytest.FixtureRequest, kind: Callable[..., FileStore]
) -> None:
    files = kind(tmp_path, request)
    key, begin = "ipp-raw/ipp-1/solicitud.json", threading.Barrier(8)

    def write(number: int) -> None:
        begin.wait(PATIENCE_SECONDS)
        put(files, key, b"%d" % number * 1_000)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert files.local_path(key).read_bytes() in [b"%d" % number * 1_000 for number in range(8)]


def test_nothing_appears_before_the_block_ends_nor_when_it_fails(files: FileStore) -> None:
    key = "ipp-raw/ipp-1/a.bin"
    put(files, key, b"one")
    with pytest.raises(RuntimeError), files.write_object(key) as path:
        path.write_bytes(b"half")
        assert files.local_path(key).read_bytes() == b"one"
        assert list(files.list_keys("ipp-raw/")) == [key]
        raise RuntimeError
    assert files.local_path(key).read_bytes() == b"one"
    assert list(files.list_keys("ipp-raw/")) == [key]


def test_what_is_not_there_is_not_found(files: FileStore) -> None:
    with pytest.raises(NotFoundError, match="No existe el archivo"):
        files.local_path("ipp-raw/ipp-1/none.bin")


@pytest.mark.parametrize("key", ["../outside.bin", "ipp-raw/../../outside.bin"])
def test_no_key_leads_outside(files: FileStore, key: str, tmp_path: Path) -> None:
    (tmp_path / "outside.bin").write_bytes(b"x")
    with pytest.raises(NotFoundError):
        files.local_path(key)
    with pytest.raises(NotFoundError):
        put(files, key, b"y")
    assert (tmp_path / "outside.bin").read_bytes() == b"x"


def test_keys_are_those_of_the_prefix_sorted(files: FileStore) -> None:
    for key in ("ipp-raw/b/2", "ipp-raw/a/1", "ipp-processed/a/1", "ipp-raw/b/1"):
        put(files, key, b"")
    assert list(files.list_keys("ipp-raw/b/")) == ["ipp-raw/b/1", "ipp-raw/b/2"]
    assert list(files.list_keys("ipp-raw/")) == ["ipp-raw/a/1", "ipp-raw/b/1", "ipp-raw/b/2"]
    assert list(files.list_keys("none/")) == []


def test_an_address_names_the_key(files: FileStore) -> None:
    assert files.address("ipp-raw/ipp-1/a.bin").endswith("ipp-raw/ipp-1/a.bin")


def test_a_link_gives_the_object_under_its_name_to_whoever_has_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files = s3(tmp_path, request)
    put(files, "ipp-processed/ipp-1/a.csv", b"one")
    link = files.presign_download(
        "ipp-processed/ipp-1/a.csv", name="ipp-1.csv", media_type="text/csv; charset=utf-8"
    )
    assert link is not None
    with urllib.request.urlopen(link, timeout=PATIENCE_SECONDS) as answer:
        assert answer.read() == b"one"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="ipp-1.csv"'
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "X-Amz-Expires=900" in link or "Expires=" in link


@pytest.mark.parametrize("ask", ["put", "local", "keys", "link"])
def test_objects_that_cannot_be_asked_for_just_now_are_not_available(
    tmp_path: Path, ask: str
) -> None:
    client = client_of("http://127.0.0.1:9", "s3")  # nobody is there
    files = S3Files(lambda: client, {"ipp-raw": "raw"}, tmp_path)
    key = "ipp-raw/ipp-1/a.bin"
    asks: dict[str, Callable[[], object]] = {
        "put": lambda: put(files, key, b"one"),
        "local": lambda: files.local_path(key),
        "keys": lambda: list(files.list_keys("ipp-raw/")),
        "link": lambda: files.presign_download(key, name="a", media_type="text/csv"),
    }
    with pytest.raises(UnavailableError, match=r"S3 no respondió \("):
        asks[ask]()


def test_what_is_not_there_has_no_link(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files = s3(tmp_path, request)
    assert (
        files.presign_download(
            "ipp-processed/ipp-1/none.csv", name="none.csv", media_type="text/csv"
        )
        is None
    )


def test_a_copy_that_was_read_long_ago_is_removed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files = s3(tmp_path, request)
    for name in ("old", "young", "now"):
        put(files, f"ipp-processed/ipp-1/{name}.parquet", b"one")
    old = files.local_path("ipp-processed/ipp-1/old.parquet")
    young = files.local_path("ipp-processed/ipp-1/young.parquet")
    os.utime(old, (time.time() - 3_600,) * 2)
    now = files.local_path("ipp-processed/ipp-1/now.parquet")
    assert [path.exists() for path in (old, young, now)] == [False, True, True]


@pytest.mark.parametrize(("made", "passing"), [(s3, "store"), (volume, "passing")])
def test_what_passed_through_leaves_nothing_behind_once_it_is_written(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    made: Callable[[Path, pytest.FixtureRequest], FileStore],
    passing: str,
) -> None:
    put(made(tmp_path, request), "ipp-raw/ipp-1/a.bin", b"one")
    assert [path for path in (tmp_path / passing).rglob("*") if path.is_file()] == []
