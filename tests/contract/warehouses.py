"""Warehouses for tests, each over tables that a test fills, with rows of every possible cell."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from ipp.core.contract import Column, Kind, Table
from ipp.core.tables import CONFIGURATIONS, RESULTS
from ipp.storage.change_record import Author, Door
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.warehouse import TableRow, Warehouse
from tests.cloud.workspace.tables import folder_of, lay_out

JOB, OTHER = "ipp-uno", "ipp-dos"
COUNTERS = (7_051_602, 12, 9_999_999_999)
TODAY = dt.date(2026, 7, 1)
AUTHOR = Author("8f2c", "Ana Peña", Door.HTTP)

TEXTS = (
    "Ácido fólico 5 mg", "acido folico 5 MG", "ÁCIDO", "e\u0301xito", "ÉXITO 2", "Ñandú", "nandu",
    "zinc; jarabe", "",
    " espacio", "½ tableta", "µg por ml", "N.º 5", "x² y H₂O", "Cien…", "Marca™", "日本", "Ωmega",
    "a.*b", "100% _ \\",
    "O'Brien", 'Venda 3" x 5 m', ":job_id", "-- fin", "/* no */", "${x} {{y}}", "Suero\ncon salto",
    "0012", None,
)  # fmt: skip
"""Texts that people write: combining accents, ligatures, what trips SQL and patterns."""

_POOLS: Mapping[Kind, Sequence[Any]] = {
    Kind.ID: (None, 0, 7, 12, 1_000, 7_501_234_567_890, 10**18 - 1),
    Kind.TEXT: TEXTS,
    Kind.NUMBER: (
        None,
        0.0,
        -0.0,
        0.1,
        1e-7,
        12.345,
        12.344999999999999,
        1e12,
        123_456_789.987654321,
        math.nan,
    ),
    Kind.COUNT: (None, 0, 1, -3, 250, 2**53 + 1),
    Kind.DATE: (None, dt.date(1999, 12, 31), dt.date(2024, 2, 29), TODAY),
    Kind.FLAG: (None, True, False),
}


@dataclass(frozen=True)
class Place:
    """A warehouse and the lakehouse that it reads; ``tables`` is where a workspace has them."""

    warehouse: Warehouse
    lakehouse: DeltaLakehouse
    tables: Path | None = None

    def put(self, table: Table, rows: Iterable[TableRow]) -> None:
        """Make ``rows`` the whole table."""
        self.lakehouse.replace_table(table, pl.LazyFrame(list(rows), schema=table.schema))
        if self.tables is not None:
            lay_out(self.lakehouse, self.tables, [table])

    def content(self, table: Table) -> list[dict[str, Any]]:
        """The rows that are stored, by the table's key, read past the warehouse."""
        if self.tables is None:
            stored = self.lakehouse.scan_table(table)
        else:
            stored = table.conform_rows(
                pl.scan_parquet(folder_of(table, self.tables)).rename(dict(table.names))
            )
        return stored.collect().sort(table.key).to_dicts()


def build_results(count: int = 40, seed: int = 1) -> list[TableRow]:
    """Return rows of two jobs, a few for each mostrador, whose own values repeat in each row."""
    random = Random(seed)
    rows: list[TableRow] = []
    for job_id in (JOB, OTHER):
        for mostrador in COUNTERS:
            own = {
                "mostrador": mostrador,
                "job_id": job_id,
                "rounding_factor": 0.47,
                "target_investment": 1_000.005,
            }
            for material in random.sample(range(1, 10_000), count):
                drawn = {column.name: _drawn(column, random) for column in RESULTS.columns}
                known = {"optimum_value": random.choice((None, 0.125, 2.00005, 2.00015,
                                                         1e6 / 3, 0.0)),
                         "expected_demand": random.choice((None, 0.0, 0.001, 3.125, 700.007)),
                         "expected_sales": random.choice((None, 0.0, 0.000001, 1.5, 650.123456)),
                         "on_hand": random.choice((None, drawn["on_hand"]))}  # fmt: skip
                rows.append(drawn | known | own | {"material": material})
    return rows


def _drawn(column: Column, random: Random) -> Any:
    return random.choice(
        [value for value in _POOLS[column.kind] if not (column.required and value is None)]
    )


def build_configuration(mostrador: int, **cells: Any) -> dict[str, Any]:
    """Return a row of the register, every switch on but for ``cells``."""
    made = {column.name: True for column in CONFIGURATIONS.columns if column.kind is Kind.FLAG}
    return {
        name: {"mostrador": mostrador, "inventory_model": "SPP", "target_investment": None,
               "updated_on": None, **made, **cells}[name]
        for name in CONFIGURATIONS.by_name
    }  # fmt: skip


def build_counters(*mostradores: int, name: str | None = None) -> list[TableRow]:
    """Return rows of the table of mostradores."""
    alike: TableRow = {"counter_name": name, "postal_code": 1, "counter_sales_value": None}
    return [{"mostrador": mostrador, **alike} for mostrador in mostradores]


def fold_text(text: str) -> str:
    """Return what the spellings of a text share."""
    return "".join(
        c
        for c in unicodedata.normalize("NFKD", text).lower()
        if not unicodedata.category(c).startswith("M")
    )


def tag_types(value: Any) -> Any:
    """Return a value equal to another's only where the types are equal; one NaN equals another."""
    if isinstance(value, Mapping):
        return {name: tag_types(cell) for name, cell in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [tag_types(each) for each in value]
    return type(value).__name__, repr(value)
