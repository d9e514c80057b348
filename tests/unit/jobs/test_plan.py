"""What a request becomes: which mostradores it computes, up to which day, and what is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from ipp.core.contract import Table
from ipp.core.parameters import Parameters
from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT
from ipp.errors import InvalidInputError, NotConfiguredError
from ipp.jobs.job_plan import plan_job, validate_counters
from ipp.jobs.job_spec import JobSpec
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.unit.jobs.job_builder import NOW

FIRST, LAST = dt.date(2026, 6, 1), dt.date(2026, 6, 30)
ASKED = Parameters(cover_days=33.0)

TABLES = [
    (COUNTERS, pl.LazyFrame({"mostrador": [1, 2, 3, 4], "postal_code": [6700] * 4})),
    (MATERIALS, pl.LazyFrame({"material": [11], "price": [20.0]})),
    (CONFIGURATIONS, pl.LazyFrame({"mostrador": [1, 2, 3, 9], "inventory_model": ["SPP"] * 4})),
    (SELLOUT, pl.LazyFrame(
        [(1, 11, day, 1.0) for day in (FIRST, LAST)], schema=SELLOUT.schema, orient="row"
    )),
]  # fmt: skip
"""Mostradores 1 to 3 have a configuration, 4 has none, and 9 has one but is no mostrador."""


def build_warehouse(folder: Path, *, without: Table | None = None) -> LakehouseWarehouse:
    lakehouse = DeltaLakehouse(folder)
    for table, rows in TABLES:
        if table is not without:
            lakehouse.replace_table(table, rows)
    return LakehouseWarehouse(lakehouse)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> LakehouseWarehouse:
    return build_warehouse(tmp_path_factory.mktemp("plan"))


def planned(
    warehouse: LakehouseWarehouse,
    mostradores: tuple[int, ...] | None = (2, 1),
    cutoff: dt.date | None = None,
) -> JobSpec:
    return plan_job(mostradores, ASKED, warehouse, job_id="ipp-1", created_at=NOW, cutoff=cutoff)


def test_a_plan_is_the_request_with_its_mostradores_in_order(warehouse: LakehouseWarehouse) -> None:
    assert planned(warehouse) == JobSpec("ipp-1", (1, 2), ASKED, LAST, NOW)
    assert planned(warehouse, (3,)).mostradores == (3,)


@pytest.mark.parametrize(
    ("asked", "valid", "invalid", "status"),
    [
        ((3, 1, 2), ["3", "1", "2"], [], "all_valid"),
        ((4, 3, 7, 1), ["3", "1"], ["4", "7"], "partial_valid"),
        ((7, 4), [], ["7", "4"], "all_invalid"),
    ],
    ids=str,
)
def test_a_validation_parts_what_was_asked_for_in_its_order(
    warehouse: LakehouseWarehouse,
    asked: tuple[int, ...],
    valid: list[str],
    invalid: list[str],
    status: str,
) -> None:
    document = validate_counters(asked, warehouse).to_document()
    message = document.pop("message")  # type: ignore[misc]  # what is left is compared whole
    assert document == {
        "status": status, "mode": "manual", "validClients": valid, "invalidClients": invalid,
        "total": len(asked), "validated": len(valid),
    }  # fmt: skip
    counted = {"all_valid": f"los {len(asked)}", "partial_valid": f"{len(valid)} de {len(asked)}"}
    assert counted.get(status, f"Ninguno de los {len(asked)}") in message


def test_who_asks_for_all_gets_what_is_configured(
    warehouse: LakehouseWarehouse, tmp_path: Path
) -> None:
    assert validate_counters(None, warehouse).to_document()["validClients"] == ["1", "2", "3", "9"]
    assert validate_counters(None, warehouse).mode == "automatic"
    with pytest.raises(NotConfiguredError, match="No hay ningún mostrador con configuración"):
        validate_counters(None, build_warehouse(tmp_path, without=CONFIGURATIONS))


@pytest.mark.parametrize("asked", [(1, 4), (1, 9), (1, 4, 9), None])
def test_one_that_cannot_be_computed_stops_the_whole_request_and_is_named(
    warehouse: LakehouseWarehouse, asked: tuple[int, ...] | None
) -> None:
    with pytest.raises(NotConfiguredError) as caught:
        planned(warehouse, asked)
    assert f": {'4' if asked and 4 in asked else '9'}." in caught.value.message


@pytest.mark.parametrize(
    ("day", "taken"),
    [
        (FIRST - dt.timedelta(days=1), False), (FIRST, True), (dt.date(2026, 6, 12), True),
        (LAST, True), (dt.date(2026, 7, 7), True), (dt.date(2026, 7, 8), False),
    ],
    ids=str,
)  # fmt: skip
def test_the_last_day_that_counts_has_sales_within_the_week_before_it(
    warehouse: LakehouseWarehouse, day: dt.date, taken: bool
) -> None:
    if taken:
        assert planned(warehouse, cutoff=day).cutoff == day
        return
    with pytest.raises(InvalidInputError, match=f"No hay venta que llegue al {day}") as caught:
        planned(warehouse, cutoff=day)
    assert f"del {FIRST} al {LAST}" in caught.value.hint


def test_without_sales_a_request_must_name_its_day(tmp_path: Path) -> None:
    warehouse = build_warehouse(tmp_path, without=SELLOUT)
    with pytest.raises(InvalidInputError, match="No hay sell-out"):
        planned(warehouse)
    assert planned(warehouse, cutoff=LAST).cutoff == LAST


def test_without_a_catalogue_nothing_is_planned(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No hay materiales"):
        planned(build_warehouse(tmp_path, without=MATERIALS), cutoff=LAST)
