"""Columns of a job's summary in SQL.

They are equivalent to `ipp.core.decision.publication.summarise_counters`.
"""

from __future__ import annotations

from typing import Final

from ipp.core.contract import Kind
from ipp.core.tables import RESULTS

UNITS_PER_PESO: Final = 10_000
"""Fixed-point units per peso, as in `ipp.core.money`."""

_UNITS_PER_PIECE: Final = 1_000_000
"""Fixed-point units per piece.

Expected values are published with at most six decimals, so that sums in these units do not depend
on the order of the rows.
"""

UNKNOWN_STOCK_SQL: Final = "({optimum} > 0 AND {on_hand} IS NULL)".format(**RESULTS.labels)
"""SQL condition equivalent to `ipp.core.decision.publication.has_unknown_stock`."""


def summary_columns() -> list[tuple[str, Kind, str]]:
    """Return each column of a counter's summary: name, kind and SQL expression."""
    labels = RESULTS.labels
    return [
        ("mostrador", Kind.COUNT, "mostrador"),
        ("products", Kind.COUNT, "count(*)"),
        ("products_with_stock", Kind.COUNT, f"count_if({labels['optimum']} > 0)"),
        ("units", Kind.COUNT, f"coalesce(sum({labels['optimum']}), 0)"),
        ("investment", Kind.NUMBER, _pesos_sql(labels["optimum_value"])),
        ("target_investment", Kind.NUMBER, _round_sql(f"max({labels['target_investment']})", 2)),
        ("rounding_factor", Kind.NUMBER, f"max({labels['rounding_factor']})"),
        ("expected_fill_rate", Kind.NUMBER, _fill_rate_sql()),
        ("products_with_unknown_stock", Kind.COUNT, f"count_if({UNKNOWN_STOCK_SQL})"),
        (
            "value_with_unknown_stock",
            Kind.NUMBER,
            _pesos_sql(f"CASE WHEN {UNKNOWN_STOCK_SQL} THEN {labels['optimum_value']} END"),
        ),
    ]


def _pesos_sql(expression: str) -> str:
    """Return the exact sum of an amount, in pesos to the cent."""
    return pesos_sql(exact_sum_sql(expression, UNITS_PER_PESO))


def pesos_sql(units: str) -> str:
    """Return units in pesos, half a cent rounded to the even one."""
    return f"rint({units} / {UNITS_PER_PESO // 100}) / 100"


def _fill_rate_sql() -> str:
    """Return the part of the expected demand that is expected to sell; null without demand."""
    labels = RESULTS.labels
    demand, sales = (
        exact_sum_sql(
            f"CASE WHEN {labels['exclusion']} IS NULL THEN {labels[name]} END", _UNITS_PER_PIECE
        )
        for name in ("expected_demand", "expected_sales")
    )
    return _round_sql(f"CASE WHEN {demand} > 0 THEN {sales} / {demand} END", 4)


def exact_sum_sql(expression: str, parts: int) -> str:
    """Return the exact sum of an expression in integer units of 1/``parts``.

    Each term is rounded half to even. With 10 parts, 0.1 + 0.2 is 1 + 2 = 3 in any order.
    """
    return f"coalesce(sum(CAST(rint({expression} * {parts}) AS BIGINT)), 0)"


def _round_sql(expression: str, digits: int) -> str:
    """Return a float rounded to ``digits`` decimals as Polars and NumPy do.

    SQL's own ``round`` rounds the decimal representation instead.
    """
    return f"rint(({expression}) * {10**digits}) / {10**digits}"
