"""Many configurations changed at once, in every `Warehouse`: all of them or none, told once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from ipp.core.tables import CONFIGURATIONS, COUNTERS
from ipp.storage.warehouse.warehouse import ChangeQuery, RowChange, TableRow
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

DETAIL = {"archivo": "lista.csv", "nuevos": 1, "cambiados": 1, "iguales": 0, "rechazados": 0}


def kept(place: Place, rows: dict[int, TableRow]) -> None:
    assert tag_types(place.content(CONFIGURATIONS)) == tag_types([rows[n] for n in sorted(rows)])


def told(place: Place) -> list[dict[str, object]]:
    changes = place.warehouse.list_changes(ChangeQuery(limit=1_000))
    return [{**json.loads(row["detail"]), "operation": row["operation"]} for row in changes]


def test_the_mostradores_known_are_those_of_their_table(place: Place) -> None:
    assert place.warehouse.known_counters() == []
    place.put(COUNTERS, build_counters(9_999_999_999, 3, 12))
    assert place.warehouse.known_counters() == [3, 12, 9_999_999_999]


def test_new_and_changed_configurations_are_stored_at_once_and_told_once(place: Place) -> None:
    texts = " ".join(text for text in TEXTS if text is not None)
    before = build_configuration(3, inventory_model=texts, target_investment=950_000.1)
    other = build_configuration(12, updated_on=TODAY, include_device=False)
    after = build_configuration(3, target_investment=1e-7, updated_on=TODAY, include_branded=False)
    new = build_configuration(9_999_999_999, inventory_model=texts, updated_on=TODAY)
    place.put(CONFIGURATIONS, [before, other])
    assert place.warehouse.merge_configurations([(None, new), (before, after)], AUTHOR, DETAIL)
    kept(place, {3: after, 12: other, 9_999_999_999: new})
    assert told(place) == [{**DETAIL, "renglones": 2, "operation": "importar"}]
    (whole,) = place.warehouse.list_changes(ChangeQuery(limit=9))
    rows = place.warehouse.list_changes(ChangeQuery(limit=9, bulk_id=whole["change_id"]))
    found = {row["row_key"]: (row["before"] is None, row["state"]) for row in rows}
    assert found == {"3": (False, "hecho"), "9999999999": (True, "hecho")}
    assert {row["state"] for row in (whole, *rows)} == {"hecho"}


@pytest.mark.parametrize("seed", range(3))
def test_of_changes_of_which_one_was_overtaken_none_is_made(place: Place, seed: int) -> None:
    random = Random(seed)

    def drawn(mostrador: int) -> TableRow:
        return build_configuration(
            mostrador,
            target_investment=random.choice([None, 0.1, 5e9]),
            updated_on=random.choice([None, TODAY]),
            include_generic=random.choice([None, True, False]),
        )

    stored = {n: drawn(n) for n in random.sample(range(1, 9), 4)}
    place.put(CONFIGURATIONS, list(stored.values()))
    chosen = random.sample(range(1, 9), random.randint(2, 6))
    changes: list[RowChange] = [(stored.get(n), drawn(n)) for n in chosen]
    position = random.randrange(len(changes))
    before, after = changes[position]
    overtaken: TableRow | None = drawn(int(after["mostrador"]))
    if before is not None:
        amount = None if before["target_investment"] else 1.5
        overtaken = random.choice([None, {**before, "target_investment": amount}])
    wrong = [*changes[:position], (overtaken, after), *changes[position + 1 :]]
    assert not place.warehouse.merge_configurations(wrong, AUTHOR, DETAIL)
    kept(place, stored)
    assert told(place) == []
    assert place.warehouse.merge_configurations(changes, AUTHOR, DETAIL)
    kept(place, {**stored, **{int(row["mostrador"]): row for _, row in changes}})
    assert len(told(place)) == 1


def test_of_those_who_change_the_same_at_once_one_does(place: Place) -> None:
    before = build_configuration(3)
    place.put(CONFIGURATIONS, [before])
    begin = threading.Barrier(3)

    def merge(amount: float) -> bool:
        begin.wait(PATIENCE_SECONDS)
        changes: list[RowChange] = [
            (before, {**before, "target_investment": amount}),
            (None, build_configuration(4, target_investment=amount)),
        ]
        return place.warehouse.merge_configurations(changes, AUTHOR, DETAIL)

    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(merge, (1.0, 2.0, 3.0)))
    assert sorted(done) == [False, False, True]
    amount = float(1 + done.index(True))
    kept(place, {n: build_configuration(n, target_investment=amount) for n in (3, 4)})


def test_ten_thousand_configurations_are_one_change(place: Place) -> None:
    place.put(CONFIGURATIONS, [])
    rows = [build_configuration(10**9 + n, target_investment=n / 7) for n in range(10_000)]
    changes: list[RowChange] = [(None, row) for row in rows]
    assert place.warehouse.merge_configurations(changes, AUTHOR, DETAIL)
    kept(place, {row["mostrador"]: row for row in rows})
