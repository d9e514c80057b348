"""Every clause of every reason is true of the row that it explains."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.decision.notice import Evidence
from ipp.core.parameters import Parameters
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import PREDICTIVE_MODEL, PUBLISHED_RESULTS, TRADITIONAL_MODEL
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE
from ipp.pipeline.stages.factor_stage import FactorKernel
from ipp.pipeline.stages.normaliser_stage import NormaliserKernel
from ipp.pipeline.stages.publication_stage import PublicationKernel

Row = dict[str, Any]
Claim = Callable[[Row, tuple[str, ...]], bool]

N = r"(\d[\d,]*(?:\.\d+)?)"
HALF_THOUSANDTH = 0.0005 + 1e-9


def number(text: str) -> float:
    return float(text.replace(",", ""))


def near(value: Any, text: str, tolerance: float = 1e-9) -> bool:
    return abs(float(value or 0) - number(text)) <= tolerance


def base(row: Row) -> float:
    """What the traditional model expects, from the row's own factors."""
    nine, own = row["factor_9"], row["factor_d"]
    area, premium = row["weighted_traditional"], row["factor_f"]
    return float(nine if premium == 0 else own if area == 0 else area + premium)


def expects(row: Row, said: tuple[str, ...], *, area: bool, own: bool) -> bool:
    return (
        near(base(row), said[0], HALF_THOUSANDTH)
        and near(row["cover_days"], said[1])
        and ((row["weighted_traditional"] > 0), (row["factor_f"] > 0)) == (area, own)
    )


def rounds(value: float, factor: float, units: float) -> bool:
    """Whether ``value`` is ``units`` if two decimals from ``factor`` on count as one."""
    whole, decimals = divmod(round(value * 1000), 1000)
    return units == whole + (decimals // 10 >= round(factor * 100))


def no_own_sales(row: Row) -> bool:
    return not row["sales_365d"]


def pack_of(row: Row) -> int:
    return row["inner_pack"] or 1


def next_piece(row: Row, said: str) -> bool:
    """Whether what would be bought next is named rightly."""
    pack, first = pack_of(row), row["optimum"] == 0
    if pack == 1:
        return said == ("la primera" if first else "una más")
    return said == f"la primera pieza de {'un' if first else 'otro'} sub empaque de {pack}"


def limits(row: Row, said: str, pack: str | None) -> bool:
    sellable = (
        float("inf")
        if row["shelf_life"] is None
        # The published mean has three decimals.
        else max(row["shelf_life"] * (row["expected_demand"] + 0.0005) / row["cover_days"], 1)
    )
    most = min(float("inf") if row["maximum"] is None else row["maximum"], sellable)
    return (
        number(said) <= most
        and (pack is None) == (pack_of(row) == 1)
        and (pack is None or (int(pack) == pack_of(row) and number(said) % pack_of(row) == 0))
        and row["optimum"] >= number(said)
    )


EXCLUSIONS: dict[str, Claim] = {
    r"la configuración del mostrador deja fuera el grupo (.+)": lambda row, said: (
        row["exclusion_group"] == said[0]
    ),
    r"no tiene precio": lambda row, _: not row["price"],
    r"su precio es de menos de 0.0001 MXN": lambda row, _: 0 < row["price"] < 0.0001,
    rf"su precio, {N} MXN, pasa del máximo de {N} MXN": lambda row, said: (
        near(row["price"], said[0])
        and near(row["max_price"], said[1])
        and number(said[0]) > number(said[1])
    ),
}

NO_DEMAND: dict[str, Claim] = {
    r"no hay demanda en el área ni venta del mostrador en el año": lambda row, _: (
        not row["area_demand"] and no_own_sales(row)
    ),
    rf"el área pide {N} en 30 días, pero el mostrador no tiene venta mensual de la que sacar su "
    r"parte, ni venta del mostrador en el año": lambda row, said: (
        near(row["area_demand"], said[0])
        and number(said[0]) > 0
        and row["counter_sales_value"] == 0
        and no_own_sales(row)
    ),
    rf"de lo que pide el área \({N} en 30 días\) no le toca al mostrador ni 0.01 en {N} días, ni "
    r"venta del mostrador en el año": lambda row, said: (
        near(row["area_demand"], said[0])
        and row["area_demand"] * row["ratio"] * number(said[1]) / 30 < 0.01
        and near(row["cover_days"], said[1])
        and no_own_sales(row)
    ),
}

TRADITIONAL: dict[str, Claim] = {
    rf"se esperan? {N} piezas? en {N} días": lambda row, s: expects(row, s, area=False, own=False),
    rf"se esperan? {N} piezas? en {N} días por el área": lambda row, s: expects(
        row, s, area=True, own=False
    ),
    rf"se esperan? {N} piezas? en {N} días por la venta propia": lambda row, s: expects(
        row, s, area=False, own=True
    ),
    rf"se esperan? {N} piezas? en {N} días por el área y la venta propia": lambda row, s: expects(
        row, s, area=True, own=True
    ),
    rf"el factor {N} lo redondea a {N}": lambda row, said: (
        near(row["rounding_factor"], said[0]) and rounds(base(row), *map(number, said))
    ),
    rf"el rescate toma la demanda del área \({N}\) y da {N}": lambda row, said: (
        near(row["factor_9"], said[0])
        and rounds(base(row), row["rounding_factor"], 0)
        and rounds(row["factor_9"], row["rounding_factor"], number(said[1]))
    ),
    rf"el rescate toma la venta propia \({N}\) y da {N}": lambda row, said: (
        near(row["factor_d"], said[0])
        and rounds(base(row), row["rounding_factor"], 0)
        and rounds(row["factor_9"], row["rounding_factor"], 0)
        and rounds(row["factor_d"], row["rounding_factor"], number(said[1]))
    ),
    rf"sin demanda en el área, la venta del año da {N} \(Óptimo P\)": lambda row, said: (
        not row["area_demand"] and row["sales_365d"] > 0 and number(said[0]) == row["rule_p"]
    ),
    rf"se vendieron {N} piezas en 90 días y queda 1 \(Óptimo Q\)": lambda row, said: (
        near(row["sales_90d"], said[0]) and row["sales_90d"] >= 2 and row["rule_q"] == 1
    ),
    rf"en sub empaques de {N} son {N}": lambda row, said: (
        number(said[0]) == pack_of(row)
        and number(said[1]) % pack_of(row) == 0
        and number(said[1]) == row["packed"]
    ),
    r"la joroba lo eleva de 1 a 2": lambda row, _: row["packed"] == 1 and row["rule_optimum"] == 2,
    rf"el ajuste al presupuesto suma {N}": lambda row, said: (
        row["optimum"] - row["rule_optimum"] == number(said[0]) > 0
    ),
    rf"el ajuste al presupuesto quita {N}": lambda row, said: (
        row["rule_optimum"] - row["optimum"] == number(said[0]) > 0
    ),
}

PREDICTIVE: dict[str, Claim] = {
    rf"se esperan? (menos de )?{N} piezas? en {N} días y 9 de cada 10 veces bastan {N}": (
        lambda row, said: (
            (
                0 < row["expected_demand"] < number(said[1])
                if said[0]
                else near(row["expected_demand"], said[1], 0.005 + 1e-9)
                and (number(said[1]) > 0) == (row["expected_demand"] > 0)
            )
            and near(row["cover_days"], said[2])
            and number(said[3]) == row["demand_p90"]
        )
    ),
    rf"con {N} se sirve el {N}%": lambda row, said: (
        number(said[0]) == row["optimum"]
        and near(100 * row["fill_rate"], said[1], 0.5 + 1e-9)
        # Both the published rate and the published mean have three decimals.
        and abs(row["expected_sales"] / row["expected_demand"] - row["fill_rate"])
        <= 0.0005 * (1 + 1 / row["expected_demand"]) + 1e-5
    ),
    rf"el servicio mínimo de {N}% pide {N}": lambda row, said: (
        near(100 * row["minimum_service"], said[0])
        and number(said[1]) == row["minimum_units"] == row["optimum"]
    ),
    rf"el dinero no alcanza para el servicio mínimo de {N}%, que pide {N}": lambda row, said: (
        near(100 * row["minimum_service"], said[0])
        and number(said[1]) == row["minimum_units"] > row["optimum"]
    ),
    rf"es vital y no baja de {N}": lambda row, said: (
        row["vital"] and number(said[0]) == row["optimum"] == row["minimum_units"]
    ),
    rf"su mínimo es {N}": lambda row, said: number(said[0]) == row["minimum"] == row["optimum"],
    rf"su mínimo es {N}, que en sub empaques de {N} son {N}": lambda row, said: (
        number(said[0]) == row["minimum"]
        and number(said[1]) == pack_of(row)
        and number(said[2]) == row["optimum"] == -(-row["minimum"] // pack_of(row)) * pack_of(row)
    ),
    rf"su mínimo es {N} y su máximo o su caducidad lo limita a {N}": lambda row, said: (
        number(said[0]) == row["minimum"] > row["optimum"]
        and limits(row, said[1], str(pack_of(row)) if pack_of(row) > 1 else None)
    ),
    rf"no conviene tener más de {N}: por su máximo o su caducidad(?:, en sub empaques de (\d+))?": (
        lambda row, said: limits(row, said[0], said[1])
    ),
    r"(.+) casi nunca se vendería": lambda row, said: (
        next_piece(row, said[0]) and row["next_chance"] < 0.005
    ),
    rf"(.+) se vendería el {N}% de las veces, y no deja margen": lambda row, said: (
        next_piece(row, said[0])
        and near(100 * row["next_chance"], said[1], 0.5 + 1e-9)
        and row["margin"] == 0
    ),
    rf"(.+) se vendería el {N}% de las veces, y ese dinero rinde más en otros o no alcanza": (
        lambda row, said: (
            next_piece(row, said[0])
            and near(100 * row["next_chance"], said[1], 0.5 + 1e-9)
            and (row["spent_on_others"] or row["left"] < row["price"] * pack_of(row) + 1e-6)
        )
    ),
    rf"lleva {N} semanas sin venta": lambda row, said: number(said[0]) == row["silent_weeks"] >= 8,
}


def check_claims(row: Row, text: str, claims: dict[str, Claim]) -> str:
    """Assert that some claim is what ``text`` says, and is true; return its pattern."""
    found = [
        (pattern, match.groups()) for pattern in claims if (match := re.fullmatch(pattern, text))
    ]
    assert found, f"nobody knows what this says: {text}"
    pattern, said = found[-1]
    assert claims[pattern](row, said), f"{text!r} is not true of {row}"
    return pattern


def check_reason(row: Row) -> set[str]:
    """Assert that every clause of a row's reason is true; return their patterns."""
    reason = row["reason"]
    if left_out := re.fullmatch(r"No se surte: (.*)\.", reason):
        assert row["optimum"] == 0
        assert row["exclusion"].lower() == f"{left_out[1].lower()}."
        return {check_claims(row, left_out[1], EXCLUSIONS)}
    stated = re.fullmatch(rf"Óptimo {N}: (.*)\.", reason)
    assert stated
    assert number(stated[1]) == row["optimum"]
    predictive = row["inventory_model"] == PREDICTIVE_MODEL
    if not predictive and any(re.fullmatch(pattern, stated[2]) for pattern in NO_DEMAND):
        assert row["optimum"] == 0
        return {check_claims(row, stated[2], NO_DEMAND)}
    claims = PREDICTIVE if predictive else TRADITIONAL
    return {check_claims(row, clause, claims) for clause in stated[2].split("; ")}


RUNS = st.builds(
    Parameters,
    cover_days=st.sampled_from([1.0, 21.0, 40.0, 180.0]),
    max_price=st.sampled_from([3.005, 3_500.0]),
    forced_factor=st.sampled_from([None, 0.3]),
    target_investment=st.sampled_from([None, 40.0, 3_000.0, 400_000.0]),
    minimum_service=st.sampled_from([None, 0.8]),
    bump_share=st.sampled_from([0.035, 0.5]),
)


def invent_products(seed: int, products: int = 40) -> pl.DataFrame:
    """Return products with every kind of demand, price and limit, of two models' counters.

    Half of a column's values are the ordinary one: else nearly every product would be left out.
    """
    random = np.random.default_rng(seed)

    def column(ordinary: Any, *others: Any, dtype: pl.DataType | None = None) -> pl.Series:
        chosen = random.integers(0, 2 * len(others) or 1, size=len(PROFILES) * products)
        values = [others[n] if n < len(others) else ordinary for n in chosen]
        return pl.Series(values, dtype=dtype or pl.Float64())

    return pl.DataFrame(
        {
            "mostrador": np.repeat(list(PROFILES), products),
            "material": np.tile(np.arange(1, products + 1), len(PROFILES)),
            "description": column(None, dtype=pl.String()),
            "ean": column(None, dtype=pl.Int64()),
            "category": column("EPEP", "GG", "33", "OO", None, dtype=pl.String()),
            "price": column(40.5, 3_500.0, 3.0, 3_500.004, 0.00004, None, 0.0),
            "area_demand": column(30.0, 0.0, 2.0, 400.0, None),
            "area_forecast": column(30.0, 0.0, 1.0, 400.0, None),
            "area_sales_365d": column(30.0, 0.0, 900.0, None),
            "area_sales_90d": column(9.0, 0.0, None),
            "sales_365d": column(6.0, 0.0, 1.0, 90.5, None),
            "sales_90d": column(2.0, 0.0, 0.5, 40.0, None),
            "inner_pack": column(None, 6, 10, dtype=pl.Int64()),
            "forecast_mean": column(2.5, 0.0, 0.004, 30.0, None),
            "forecast_size": column(3.0, 0.5, None),
            "forecast_idle": column(0.0, 0.3, None),
            "silent_weeks": column(0.0, 12.0, None),
            "on_hand": column(0.0, 4.0, None),
            "in_transit": column(0.0, 2.0, None),
            "margin": column(3.0, 0.0, None),
            "unseen_weeks": column(None, dtype=pl.String()),
            "minimum": column(None, 0, 3, 7, dtype=pl.Int64()),
            "maximum": column(None, 2, 20, dtype=pl.Int64()),
            "vital": column(None, False, True, dtype=pl.Boolean()),
            "shelf_life": column(None, 30.0, 200.0),
        }
    ).with_columns(sales_365d=pl.max_horizontal("sales_365d", "sales_90d"))


PROFILES: dict[int, dict[str, object]] = {
    1 + place: {
        "counter_name": None,
        "inventory_model": model,
        "target_investment": None,
        "counter_sales_value": sales,
        **{group.switch_name: group.name != "over_the_counter" for group in PRODUCT_GROUPS},
    }
    for place, (model, sales) in enumerate(
        (model, sales)
        for model in (TRADITIONAL_MODEL, PREDICTIVE_MODEL)
        for sales in (90_000.0, 1.0, 0.0)
    )
}


def publish_rows(
    profiles: dict[int, dict[str, object]], rows: pl.DataFrame, run: Parameters
) -> list[Row]:
    """Return the rows that a job publishes for a few counters, beside the inputs of each.

    Every fifth product has no factors of its own sales, whatever it sold: rule P is for those.
    """
    raw = RAW_TABLE.conform_rows(NormaliserKernel(profiles, run)(rows).lazy()).collect()
    fifth = pl.col("material") % 5 == 0
    raw = raw.with_columns(
        pl.when(fifth).then(0.0).otherwise(name).alias(name) for name in ("factor_d", "factor_f")
    )
    processed = PROCESSED_TABLE.conform_rows(FactorKernel(run)(raw).lazy()).collect()
    publish = PublicationKernel("ipp-1", Evidence(dt.date(2026, 10, 25)), run)
    results = PUBLISHED_RESULTS.conform_rows(publish(processed)[-1].lazy()).collect()
    inputs = processed.select("mostrador", "material", pl.exclude(*results.columns))
    spent = pl.col("optimum_value").sum().over("mostrador")
    both = results.join(inputs, on=["mostrador", "material"]).with_columns(
        spent_on_others=spent - pl.col("optimum_value") > 0,
        left=pl.col("target_investment") - spent,
        cover_days=run.cover_days,
        max_price=run.max_price,
        minimum_service=pl.lit(run.minimum_service),
    )
    assert len(both) == len(rows)
    return both.to_dicts()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), RUNS)
def test_what_a_reason_says_is_true_of_its_row(seed: int, run: Parameters) -> None:
    for row in publish_rows(PROFILES, invent_products(seed), run):
        check_reason(row)


def test_the_invented_products_are_given_every_reason() -> None:
    """A law about a clause that no row has would prove nothing."""
    runs = [
        Parameters(target_investment=3_000.0, max_price=3_000.0),
        Parameters(target_investment=400_000.0, minimum_service=0.8, cover_days=40.0),
        Parameters(target_investment=2_000.0, minimum_service=0.8, cover_days=1.0),
        Parameters(forced_factor=0.3, bump_share=0.5),
        Parameters(target_investment=40.0, minimum_service=0.8),
    ]
    met = set[str]()
    for seed, run in enumerate(runs):
        for row in publish_rows(PROFILES, invent_products(seed, 400), run):
            met |= check_reason(row)
    every = {*EXCLUSIONS, *NO_DEMAND, *TRADITIONAL, *PREDICTIVE}
    assert every - met == set()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"area_demand": 22.0}, "no hay demanda en el área ni venta del mostrador en el año"),
        ({"sales_365d": 1.0}, "no hay demanda en el área ni venta del mostrador en el año"),
    ],
)
def test_the_reading_refuses_what_is_not_so(changes: Row, text: str) -> None:
    row = {"area_demand": 0.0, "sales_365d": 0.0}
    check_claims(row, text, NO_DEMAND)
    with pytest.raises(AssertionError, match="is not true"):
        check_claims(row | changes, text, NO_DEMAND)
