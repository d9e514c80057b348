"""An archive is as large as what comes out of it, whatever it says of itself."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.tables import MATERIALS
from ipp.errors import InvalidInputError, UnreadableFileError
from ipp.formats.intake import zip_archive
from ipp.formats.intake.table_import import ImportReport
from ipp.formats.intake.zip_archive import OversizedArchiveError, inflate_parts
from tests.books import SHEET_PART, build_xlsx, restate_size, sheet_xml, text_cells

Bring = Callable[..., ImportReport]

MIB = 1 << 20
parts = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.binary(max_size=2000)), max_size=6
)


def zipped(*content: tuple[str, bytes], comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        warnings.simplefilter("ignore")  # two parts of one name are what is tried
        for name, data in content:
            target.writestr(name, data)
        target.comment = comment
    return stream.getvalue()


def inflated(content: bytes, limit: int) -> int:
    return sum(len(piece) for _, piece in inflate_parts(io.BytesIO(content), limit))


@given(parts, st.integers(0, 8000))
def test_what_comes_out_is_counted(content: list[tuple[str, bytes]], limit: int) -> None:
    size = sum(len(data) for _, data in content)
    if size <= limit:
        assert inflated(zipped(*content), limit) == size
    else:
        with pytest.raises(OversizedArchiveError):
            inflated(zipped(*content), limit)


def test_counting_ends_at_the_limit() -> None:
    content = restate_size(zipped(("a", bytes(64 * MIB))), "a", 1000)
    seen = 0
    with pytest.raises(OversizedArchiveError):
        for _, piece in inflate_parts(io.BytesIO(content), 3 * MIB):
            seen += len(piece)
    assert seen <= 3 * MIB


@pytest.mark.parametrize("size", [0, 10, 1001, 2**32 - 2])
def test_a_part_of_another_size_than_it_states_is_damaged(size: int) -> None:
    with pytest.raises(zipfile.BadZipFile):
        inflated(restate_size(zipped(("a", bytes(1000))), "a", size), MIB)


def test_parts_that_share_their_bytes_are_each_counted() -> None:
    whole = zipped(*((f"{n:02}", bytes(MIB)) for n in range(20)))
    shared = bytearray(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as source:
        at = source.start_dir
    for _ in range(20):
        struct.pack_into("<I", shared, at + 42, 0)
        shared[at + 46 : at + 48] = b"00"
        at = whole.find(b"PK\1\2", at + 1)
    with pytest.raises((OversizedArchiveError, zipfile.BadZipFile)):
        inflated(bytes(shared), 10 * MIB)


def test_another_directory_in_the_comment_is_not_chosen_between() -> None:
    small = zipped(("a", b"x"))
    for comment in (small, small[-22:], b"\0" * 22):
        with pytest.raises(zipfile.BadZipFile):
            inflated(zipped(("a", bytes(MIB)), comment=comment), 2 * MIB)
    with pytest.raises(zipfile.BadZipFile):
        inflated(zipped(("a", bytes(MIB))) + small, 2 * MIB)


def test_other_compressions_and_passwords_are_not_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as target:
        target.writestr("a", bytes(MIB))
    locked = bytearray(zipped(("a", b"x")))
    for at in (6, locked.index(b"PK\1\2") + 8):
        locked[at] |= 1
    for content in (stream.getvalue(), bytes(locked), b"PK\3\4", zipped(("a", bytes(999)))[:-30]):
        with pytest.raises(zipfile.BadZipFile):
            inflated(content, 2 * MIB)


def test_a_workbook_that_lies_is_refused_before_it_is_read(
    bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = build_xlsx(sheet_xml(text_cells(1, "material") + " " * (8 * MIB)))
    with pytest.raises(UnreadableFileError, match="dañado"):
        bring(MATERIALS, restate_size(book, SHEET_PART, 1000), name="libro.xlsx")
    defaults = (4 * MIB,)
    monkeypatch.setattr(zip_archive.inflate_parts, "__defaults__", defaults)
    for content in (book, restate_size(book, SHEET_PART, 1000)):
        with pytest.raises(InvalidInputError, match="por dentro mide más de 4 MB"):
            bring(MATERIALS, content, name="libro.xlsx")
