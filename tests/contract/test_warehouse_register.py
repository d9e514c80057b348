"""The register of configurations in every `Warehouse`: what is listed, and who may change what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from ipp.core.contract import Kind
from ipp.core.tables import CONFIGURATIONS, COUNTERS
from ipp.storage.warehouse.warehouse import TableRow
from tests.contract.warehouses import (
    AUTHOR,
    TEXTS,
    TODAY,
    Place,
    build_configuration,
    build_counters,
    tag_types,
)
from tests.waiting import PATIENCE_SECONDS

pytest_plugins = ("tests.contract.sqlite_places",)

T = TypeVar("T")

BARE = build_configuration(3)
FULL = build_configuration(
    12,
    inventory_model="IPP",
    target_investment=950_000.1,
    updated_on=TODAY,
    include_branded=False,
    include_device=False,
)
LARGE = build_configuration(9_999_999_999, target_investment=0.01)
STORED = [BARE, FULL, LARGE]

OTHERWISE: dict[Kind, Any] = {
    Kind.TEXT: "otro",
    Kind.NUMBER: 17.25,
    Kind.DATE: TODAY.replace(day=2),
    Kind.FLAG: None,
}


@pytest.fixture
def stored(place: Place) -> Place:
    """A warehouse with a full configuration, one as small and one as large as allowed."""
    place.put(CONFIGURATIONS, STORED)
    return place


def kept(place: Place, *rows: TableRow) -> None:
    """What is stored is these rows, and nothing else."""
    assert tag_types(place.content(CONFIGURATIONS)) == tag_types(
        sorted(rows, key=lambda row: int(row["mostrador"]))
    )


def at_once(*doing: Callable[[], T]) -> list[T]:
    """What each gives when all begin at the same moment."""
    begin = threading.Barrier(len(doing))

    def one(do: Callable[[], T]) -> T:
        begin.wait(PATIENCE_SECONDS)
        return do()

    with ThreadPoolExecutor(len(doing)) as threads:
        return list(threads.map(one, doing))


# --- looking --------------------------------------------------------------------------------------


def test_a_configuration_is_the_row_of_its_mostrador_or_none(place: Place) -> None:
    assert place.warehouse.get_configuration(3) is None
    place.put(CONFIGURATIONS, STORED)
    for row in STORED:
        assert tag_types(place.warehouse.get_configuration(row["mostrador"])) == tag_types(row)
    assert place.warehouse.get_configuration(4) is None


def test_the_register_is_listed_from_a_mostrador_on_and_counted_as_a_whole(place: Place) -> None:
    assert place.warehouse.list_configurations("", 0, 5).total == 0
    place.put(CONFIGURATIONS, [build_configuration(n) for n in (40, 10, 30, 20)])
    for after, limit, shown in (
        (0, 5, [10, 20, 30, 40]),
        (0, 2, [10, 20]),
        (20, 1, [30]),
        (40, 5, []),
        (10**12, 5, []),
    ):
        page = place.warehouse.list_configurations("", after, limit)
        assert page.total == 4
        assert tag_types(page.rows) == tag_types([build_configuration(n) for n in shown])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" ANIMAS", [1]), ("ánimas ", [1]), ("1", [1, 12, 105]), ("0012", [12]), ("05", [105]),
        ("Centro", [105]),
        ("%", []), ("' OR 1=1 --", []), (":digits", []), ("sin renglón", []), ("N.º 7", [12]),
        ("  ", [1, 2, 12, 105]),
    ],
)  # fmt: skip
def test_the_register_is_searched_by_number_and_name(
    place: Place, text: str, found: list[int]
) -> None:
    place.put(CONFIGURATIONS, [build_configuration(n) for n in (1, 2, 12, 105)])
    named = {
        1: "Las Ánimas",
        12: "Farmacia Nº 7 N.o 7",
        105: "CENTRO",
        999: "Centro sin configuración",
    }
    place.put(COUNTERS, [row for n, name in named.items() for row in build_counters(n, name=name)])
    page = place.warehouse.list_configurations(text, 0, 10)
    assert page.total == len(found)
    assert [row["mostrador"] for row in page.rows] == found
    assert [row["mostrador"] for row in place.warehouse.list_configurations(text, 1, 1).rows] == [
        n for n in found if n > 1
    ][:1]


def test_a_page_and_its_total_are_of_one_moment(place: Place) -> None:
    place.put(CONFIGURATIONS, [BARE])
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            assert place.warehouse.insert_configuration(FULL, AUTHOR)
            assert place.warehouse.delete_configuration(FULL, AUTHOR)

    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(come_and_go)
        try:
            pages = [place.warehouse.list_configurations("", 0, 10) for _ in range(12)]
        finally:
            ended.set()
        changing.result(60)
    assert [page.total for page in pages] == [len(page.rows) for page in pages]


# --- inserting ------------------------------------------------------------------------------------


def test_a_mostrador_without_configuration_is_given_one(stored: Place) -> None:
    new = build_configuration(4, target_investment=1e-7, include_branded=False, updated_on=TODAY)
    assert stored.warehouse.insert_configuration(new, AUTHOR) is True
    kept(stored, *STORED, new)


def test_the_first_configuration_of_all_is_stored(place: Place) -> None:
    if place.tables is not None:  # a workspace has its table since it was set up
        place.put(CONFIGURATIONS, [])
    assert place.warehouse.insert_configuration(BARE, AUTHOR) is True
    kept(place, BARE)


def test_a_mostrador_with_configuration_keeps_it(stored: Place) -> None:
    assert (
        stored.warehouse.insert_configuration(
            build_configuration(12, target_investment=1.0), AUTHOR
        )
        is False
    )
    assert stored.warehouse.insert_configuration(FULL, AUTHOR) is False
    kept(stored, *STORED)


def test_whatever_a_text_is_it_is_stored_and_compared_to_the_letter(place: Place) -> None:
    texts = [text for text in TEXTS if text is not None]
    place.put(
        CONFIGURATIONS,
        [build_configuration(n, inventory_model=text) for n, text in enumerate(texts[1:], 2)],
    )
    nasty = build_configuration(1, inventory_model=" ".join(texts) + ":new_mostrador ' \" ` \\' \0")
    assert place.warehouse.insert_configuration(nasty, AUTHOR)
    assert tag_types(place.warehouse.get_configuration(1)) == tag_types(nasty)
    changed = build_configuration(
        1, inventory_model="'; DELETE FROM invenadro.bronze.mostradores; --"
    )
    assert place.warehouse.update_configuration(nasty, changed, AUTHOR)
    assert not place.warehouse.delete_configuration(
        build_configuration(1, inventory_model="' OR TRUE --"), AUTHOR
    )
    assert tag_types(place.warehouse.get_configuration(1)) == tag_types(changed)


def test_of_those_who_insert_at_once_one_does(stored: Place) -> None:
    rows = [build_configuration(4, target_investment=float(n)) for n in range(1, 5)]
    done = at_once(
        *(lambda row=row: stored.warehouse.insert_configuration(row, AUTHOR) for row in rows)
    )
    assert sorted(done) == [False, False, False, True]
    kept(stored, *STORED, rows[done.index(True)])


# --- changing and removing ------------------------------------------------------------------------


def test_a_row_that_is_as_it_was_read_is_changed_and_no_other(stored: Place) -> None:
    after = build_configuration(
        3, inventory_model="IPP", target_investment=123.45, updated_on=TODAY, include_generic=False
    )
    assert stored.warehouse.update_configuration(BARE, after, AUTHOR) is True
    kept(stored, after, FULL, LARGE)
    assert stored.warehouse.update_configuration(FULL, build_configuration(12), AUTHOR) is True
    kept(stored, after, build_configuration(12), LARGE)


def test_a_change_to_the_same_is_a_change(stored: Place) -> None:
    assert stored.warehouse.update_configuration(FULL, FULL, AUTHOR) is True
    kept(stored, *STORED)


def test_a_row_that_is_as_it_was_read_is_removed_and_no_other(stored: Place) -> None:
    assert stored.warehouse.delete_configuration(FULL, AUTHOR) is True
    kept(stored, BARE, LARGE)
    assert stored.warehouse.delete_configuration(FULL, AUTHOR) is False
    assert stored.warehouse.delete_configuration(BARE, AUTHOR) is True
    assert stored.warehouse.delete_configuration(LARGE, AUTHOR) is True
    kept(stored)
    assert stored.warehouse.list_configurations("", 0, 5).total == 0


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS.by_name if name != "mostrador"])
def test_a_row_any_cell_of_which_changed_is_neither_changed_nor_removed(
    stored: Place, name: str
) -> None:
    for row in (BARE, FULL):
        seen = {**row, name: OTHERWISE[CONFIGURATIONS.by_name[name].kind]}
        assert (
            stored.warehouse.update_configuration(
                seen, build_configuration(row["mostrador"], target_investment=1.0), AUTHOR
            )
            is False
        )
        assert stored.warehouse.delete_configuration(seen, AUTHOR) is False
    kept(stored, *STORED)


def test_what_was_never_there_is_neither_changed_nor_removed(place: Place) -> None:
    assert place.warehouse.update_configuration(FULL, build_configuration(12), AUTHOR) is False
    assert place.warehouse.delete_configuration(FULL, AUTHOR) is False
    assert place.warehouse.get_configuration(12) is None


def test_of_those_who_change_or_remove_the_same_row_at_once_one_does(stored: Place) -> None:
    rows = [build_configuration(12, target_investment=float(n)) for n in range(1, 4)]
    doing = [
        lambda row=row: stored.warehouse.update_configuration(FULL, row, AUTHOR) for row in rows
    ]
    done = at_once(*doing, lambda: stored.warehouse.delete_configuration(FULL, AUTHOR))
    assert sorted(done) == [False, False, False, True]
    kept(stored, BARE, LARGE, *(row for row, won in zip(rows, done, strict=False) if won))


def test_those_who_change_other_rows_at_once_all_do(stored: Place) -> None:
    after = [{**row, "target_investment": 7.0} for row in STORED]
    doing = [
        lambda before=before, row=row: stored.warehouse.update_configuration(before, row, AUTHOR)
        for before, row in zip(STORED, after, strict=True)
    ]
    new = build_configuration(5)
    assert at_once(*doing, lambda: stored.warehouse.insert_configuration(new, AUTHOR)) == [True] * 4
    kept(stored, new, *after)
