"""Tell where the data of a counter contradict each other: the rules, and their sentences."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from ipp.core.parameters import DAYS_PER_MONTH, LARGE_DAY_MIN_UNITS, LARGE_DAY_USUAL_DAYS
from ipp.core.traditional.history import QUARTER_DAYS, YEAR_DAYS, monthly_sales_value

MAX_NAMED_PRODUCTS: Final = 3
"""Products that a notice names: those that weigh most."""

OLD_DATA_DAYS: Final = 28.0
"""Days before the cutoff beyond which a last sale or a last count is told: four weeks."""

_LARGE_DAY_SCHEMA: Final = pl.Schema(
    {"mostrador": pl.Int64(), "material": pl.Int64(), "date": pl.Date(), "units": pl.Float64()}
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What notices need besides the rows of the factor step.

    ``last_sale`` and ``last_count`` (of stock) have the counters whose last one, up to ``cutoff``,
    is old or may be; ``days`` the largest day of a year of each product that has one of at least
    `LARGE_DAY_MIN_UNITS`: mostrador, material, date and units.
    """

    cutoff: dt.date
    last_sale: Mapping[int, dt.date] = field(default_factory=dict)
    last_count: Mapping[int, dt.date] = field(default_factory=dict)
    days: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_LARGE_DAY_SCHEMA))


@dataclass(frozen=True, slots=True)
class NoticeRule:
    """A rule about a counter's data.

    ``find`` returns what fills ``sentence``, besides the ``threshold`` (in ``unit``), for each
    counter that passes it, from rows of `ipp.core.workbook_columns.PROCESSED_TABLE` and the
    evidence. ``needs`` are the columns that it reads, or the fields of `Evidence`.
    """

    name: str
    sentence: str
    threshold: float
    unit: str
    needs: tuple[str, ...]
    find: Callable[[pl.DataFrame, Evidence, float], Mapping[int, Mapping[str, Any]]]


def find_notices(processed: pl.DataFrame, evidence: Evidence) -> dict[int, list[str]]:
    """Return the notices about each counter that has any, in Spanish, in the order of the rules.

    ``processed`` has the columns of `ipp.core.workbook_columns.PROCESSED_TABLE`.
    """
    told: dict[int, list[str]] = {}
    for rule in NOTICE_RULES:
        for mostrador, values in rule.find(processed, evidence, rule.threshold).items():
            sentence = rule.sentence.format(mostrador=mostrador, threshold=rule.threshold, **values)
            told.setdefault(mostrador, []).append(sentence)
    return dict(sorted(told.items()))


def _find_unseen_weeks(
    processed: pl.DataFrame, _evidence: Evidence, _threshold: float
) -> dict[int, dict[str, Any]]:
    unseen = processed.lazy().drop_nulls("unseen_weeks").group_by("mostrador").first()
    found = unseen.select("mostrador", "unseen_weeks").collect()
    return {mostrador: {"weeks": weeks} for mostrador, weeks in found.iter_rows()}


def _counter_values(processed: pl.DataFrame) -> pl.DataFrame:
    """Return what all products of each counter share: its monthly sales and its area's value."""
    names = ("mostrador", "counter_sales_value", "area_forecast_value")
    first = (processed["mostrador"] != processed["mostrador"].shift()).fill_null(value=True)
    return processed.filter(first).select(names).unique("mostrador")


def _find_above_area(
    processed: pl.DataFrame, _evidence: Evidence, threshold: float
) -> dict[int, dict[str, Any]]:
    sales, area = pl.col("counter_sales_value"), pl.col("area_forecast_value")
    found = _counter_values(processed).filter(area > 0, sales > area * threshold)
    if found.is_empty():
        return {}
    own = {
        mostrador: round(value, 2)
        for mostrador, value in processed.filter(
            pl.col("mostrador").is_in(found["mostrador"].implode())
        )
        .group_by("mostrador")
        .agg(monthly_sales_value(pl.col("sales_90d").fill_null(0), pl.col("price")))
        .iter_rows()
    }
    return {
        mostrador: {
            "source": "su sell-out" if own[mostrador] == value else "su monto_venta_mostrador",
            "sales": value,
            "area": area_value,
        }
        for mostrador, value, area_value in found.iter_rows()
    }


def _find_without_sales(
    processed: pl.DataFrame, _evidence: Evidence, threshold: float
) -> dict[int, dict[str, Any]]:
    found = _counter_values(processed).filter(
        pl.col("counter_sales_value").fill_null(0) <= threshold, pl.col("area_forecast_value") > 0
    )
    return {mostrador: {"area": area} for mostrador, _, area in found.iter_rows()}


def _find_old_sales(
    processed: pl.DataFrame, evidence: Evidence, threshold: float
) -> dict[int, dict[str, Any]]:
    return _find_old(processed, evidence.last_sale, evidence.cutoff, threshold)


def _find_old_stock(
    processed: pl.DataFrame, evidence: Evidence, threshold: float
) -> dict[int, dict[str, Any]]:
    return _find_old(processed, evidence.last_count, evidence.cutoff, threshold)


def _find_old(
    processed: pl.DataFrame, last: Mapping[int, dt.date], cutoff: dt.date, threshold: float
) -> dict[int, dict[str, Any]]:
    counters = set(processed["mostrador"].unique())
    return {
        mostrador: {"date": date, "days": (cutoff - date).days, "cutoff": cutoff}
        for mostrador, date in last.items()
        if mostrador in counters and (cutoff - date).days > threshold
    }


def _find_large_days(
    processed: pl.DataFrame, evidence: Evidence, threshold: float
) -> dict[int, dict[str, Any]]:
    """Compare the largest day of a product with a usual day of the rest of its year."""
    largest = evidence.days.filter(
        pl.col("mostrador").is_in(processed["mostrador"].unique().implode()),
        pl.col("units") >= LARGE_DAY_MIN_UNITS,
    )
    if largest.is_empty():
        return {}
    year = processed.select("mostrador", "material", "sales_365d")
    rest = (pl.col("sales_365d") - pl.col("units")) / (YEAR_DAYS - 1)
    found = (
        largest.join(year, on=["mostrador", "material"])
        .filter(pl.col("sales_365d") > pl.col("units"), pl.col("units") > threshold * rest)
        .with_columns(weight=pl.col("units") / rest)
        .with_columns(text=pl.format("{} ({} el {})", "material", _pieces_text("units"), "date"))
    )
    return _name_worst(found)


def _find_without_price(
    processed: pl.DataFrame, _evidence: Evidence, threshold: float
) -> dict[int, dict[str, Any]]:
    sold = pl.col("sales_365d").fill_null(0)
    unpriced = (pl.col("price").fill_null(0) <= 0) & (sold > 0)
    # A few slow products without a price are in every catalogue: their rows say so.
    share = sold.filter(unpriced).sum().over("mostrador") / sold.sum().over("mostrador")
    found = processed.filter(unpriced & (share > threshold))
    return _name_worst(
        found.with_columns(
            weight=sold, text=pl.format("{} ({})", "material", _pieces_text("sales_365d"))
        )
    )


def _name_worst(found: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """Return how many products of each counter were found, and the ``text`` of the worst."""
    ordered = found.sort("mostrador", "weight", "material", descending=[False, True, False])
    of_counter = ordered.group_by("mostrador", maintain_order=True).agg(
        pl.len(), pl.col("text").head(MAX_NAMED_PRODUCTS)
    )
    told = {}
    for mostrador, count, texts in of_counter.iter_rows():
        more = f" y {count - len(texts):,} más" if count > len(texts) else ""
        told[mostrador] = {"products": _count_products(count), "worst": ", ".join(texts) + more}
    return told


def _count_products(count: int) -> str:
    return "1 producto" if count == 1 else f"{count:,} productos"


def _pieces_text(name: str) -> pl.Expr:
    """Return units as text: 1 pieza, 2.5 piezas."""
    number = pl.col(name).round(3).cast(pl.String).str.strip_suffix(".0")
    return pl.when(number == "1").then(pl.lit("1 pieza")).otherwise(number + " piezas")


NOTICE_RULES: Final = (
    NoticeRule(
        "unseen_weeks",
        "El mostrador {mostrador} no tiene venta {weeks}: se toma como no vista. "
        "Si falta un archivo de sell-out, impórtelo y repita el proceso.",
        threshold=0,
        unit="semanas",
        needs=("unseen_weeks",),
        find=_find_unseen_weeks,
    ),
    NoticeRule(
        "above_area",
        "El mostrador {mostrador} vende más que toda su área: ${sales:,.2f} al mes según {source}, "
        "y el área ${area:,.2f}. Revise que el sell-out del área esté completo y que "
        "monto_venta_mostrador sea de un mes y en pesos.",
        # What a counter alone in its area may have, if it sold only in the last 90 days:
        # 30/90 of them a month, against 30 × (1/365 + 2/90) / 3 of the area.
        threshold=1.35,
        unit="veces el área",
        needs=("counter_sales_value", "area_forecast_value", "sales_90d", "price"),
        find=_find_above_area,
    ),
    NoticeRule(
        "without_sales",
        "El mostrador {mostrador} no tiene venta mensual (ni monto_venta_mostrador mayor que 0 ni "
        "sell-out con precio en "
        f"{QUARTER_DAYS} días): no le toca nada de lo que vende su área, ${{area:,.2f}} en "
        f"{DAYS_PER_MONTH} días. Importe su sell-out o su monto_venta_mostrador.",
        threshold=0,
        unit="MXN/mes",
        needs=("counter_sales_value", "area_forecast_value"),
        find=_find_without_sales,
    ),
    NoticeRule(
        "old_sales",
        "La última venta del mostrador {mostrador} es del {date}, {days:,} días antes del corte "
        "({cutoff}). Si falta un archivo de sell-out, impórtelo y repita el proceso.",
        threshold=OLD_DATA_DAYS,
        unit="días",
        needs=("last_sale",),
        find=_find_old_sales,
    ),
    NoticeRule(
        "old_stock",
        "Las existencias del mostrador {mostrador} se contaron por última vez el {date}, {days:,} "
        "días antes del corte ({cutoff}): el pedido sugerido parte de ellas. Importe las de hoy.",
        threshold=OLD_DATA_DAYS,
        unit="días",
        needs=("last_count",),
        find=_find_old_stock,
    ),
    NoticeRule(
        "large_day",
        "El mostrador {mostrador} vendió en un solo día, de {products}, más que en {threshold:,g} "
        "días normales: {worst}. Revise esas piezas en su sell-out.",
        threshold=LARGE_DAY_USUAL_DAYS,
        unit="días normales",
        needs=("days", "sales_365d"),
        find=_find_large_days,
    ),
    NoticeRule(
        "without_price",
        "El mostrador {mostrador} vendió en el año {products} sin precio: {worst}. Lo que no tiene "
        "precio no se surte: importe los precios en materiales.",
        threshold=0.02,
        unit="parte de las piezas del año",
        needs=("price", "sales_365d"),
        find=_find_without_price,
    ),
)
"""The rules about data, in the order in which people read them."""
