"""A file that lists mostradores: which of its cells count, and that none is left out unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ipp.errors import InvalidInputError
from ipp.formats.intake.id_list import read_id_list
from ipp.storage.files.scratch import Scratch
from tests.books import write_book

Listed = Callable[[str, str | bytes], list[str]]


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    def listed(name: str, content: str | bytes) -> list[str]:
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        found = read_id_list(file, Scratch(tmp_path / "scratch"))
        return [str(value).removesuffix(".0") for value in found]

    return listed


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ("mostrador\n2\n1\n2\n", ["2", "1", "2"]),
        ("nombre,Mostrador,cp\nCentro,2,6700\nSur,,6700\nÁnimas,1,6700\n", ["2", "1"]),
        ("2\n1\n\n3\n", ["2", "1", "3"]),
        ("tienda\n2\n", ["tienda", "2"]),
        ("7051602", ["7051602"]),
    ],
)
def test_the_cells_of_the_column_or_of_a_bare_list_count_in_their_order(
    listed: Listed, content: str, ids: list[str]
) -> None:
    assert listed("ids.csv", content) == ids


@pytest.mark.parametrize("content", ["tienda,cp\n1,6700\n", "mostrador,Mostrador\n1,2\n", "1,2\n"])
def test_a_table_without_one_column_of_mostradores_is_refused(listed: Listed, content: str) -> None:
    with pytest.raises(InvalidInputError, match="no tiene una columna mostrador") as caught:
        listed("ids.csv", content)
    assert content.partition(",")[0] in caught.value.hint


@pytest.mark.parametrize("heading", ["mostrador", "7051602"])
def test_a_cell_with_an_error_is_not_left_out(listed: Listed, heading: str) -> None:
    """Whoever asks for its mostrador must hear that it is none."""
    first = [] if heading == "mostrador" else [heading]
    book = write_book([heading], [2], ["#N/A"], [3])
    assert listed("ids.xlsx", book) == [*first, "2", "#N/A", "3"]
