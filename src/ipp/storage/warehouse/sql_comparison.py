"""SQL that compares what two jobs published, as `ipp.storage.warehouse.job_comparison` does."""

from __future__ import annotations

from typing import Final

from ipp.core.tables import RESULTS
from ipp.storage.warehouse.sql_summary import UNITS_PER_PESO, pesos_sql

COUNTER_COLUMNS: Final = {
    "mostrador": int,
    "value_before": float,
    "value": float,
    "change": float,
    "optimum_before": int,
    "optimum": int,
    "rose": int,
    "fell": int,
}
"""Columns of `counters_sql`, and the parser of each."""

PRODUCT_COLUMNS: Final = {
    "mostrador": int,
    "material": int,
    "value_before": float,
    "value": float,
    "change": float,
    "optimum_before": int,
    "optimum": int,
    "description": str,
    "reason": str,
    "reason_before": str,
}
"""Columns of `products_sql`, and the parser of each."""


def counters_sql() -> str:
    """Return the query of the changes by mostrador; its parameters are ``earlier``, ``later``."""
    sums = {
        "mostrador": "mostrador",
        "optimum_before": "sum(optimum_before)",
        "optimum": "sum(optimum)",
        "rose": "count_if(change > 0)",
        "fell": "count_if(change < 0)",
        **{name: pesos_sql(f"sum({name})") for name in ("value_before", "value", "change")},
    }
    select_list = ", ".join(sums[name] for name in COUNTER_COLUMNS)
    return (
        f"{_changes_sql()} SELECT {select_list} FROM changes"
        " GROUP BY mostrador ORDER BY abs(sum(change)) DESC, mostrador"
    )


def products_sql(*, one_counter: bool) -> str:
    """Return the query of the largest changes either way, those that rose before those that fell.

    Its parameters are ``earlier``, ``later``, ``limit``, and for ``one_counter`` ``mostrador``. The
    first column is 1 for a product that rose and -1 for one that fell, the others are
    `PRODUCT_COLUMNS`: the change itself may be less than a cent.
    """
    where = "change <> 0 AND mostrador = :mostrador" if one_counter else "change <> 0"
    cells = {
        name: pesos_sql(name) if name in {"value_before", "value", "change"} else name
        for name in PRODUCT_COLUMNS
    }
    return (
        f"{_changes_sql()}, ranked AS (SELECT *, row_number() OVER (PARTITION BY sign(change)"
        f" ORDER BY abs(change) DESC, mostrador, material) AS place FROM changes WHERE {where})"
        f" SELECT CAST(sign(change) AS BIGINT), {', '.join(cells.values())}"
        " FROM ranked WHERE place <= :limit"
        " ORDER BY sign(change) DESC, place"
    )


def _changes_sql() -> str:
    """Return the query's common part, ``changes``: each product of either job."""
    labels = RESULTS.labels
    value = f"CAST(rint(coalesce({labels['optimum_value']}, 0) * {UNITS_PER_PESO}) AS BIGINT)"
    cells = (
        f"SELECT mostrador, material, {labels['optimum']} AS optimum, {value} AS value,"
        f" {labels['description']} AS description, {labels['reason']} AS reason"
        f" FROM {RESULTS.name} WHERE job_id = "
    )
    counted = ", ".join(
        f"coalesce({job}.{name}, 0) AS {name}{ending}"
        for name in ("value", "optimum")
        for job, ending in (("later", ""), ("earlier", "_before"))
    )
    return (
        f"WITH earlier AS ({cells}:earlier), later AS ({cells}:later), changes AS ("
        "SELECT coalesce(later.mostrador, earlier.mostrador) AS mostrador,"
        f" coalesce(later.material, earlier.material) AS material, {counted},"
        " coalesce(later.value, 0) - coalesce(earlier.value, 0) AS change,"
        " coalesce(later.description, earlier.description) AS description,"
        " later.reason AS reason, earlier.reason AS reason_before FROM later FULL JOIN earlier"
        " ON later.mostrador = earlier.mostrador AND later.material = earlier.material)"
    )
