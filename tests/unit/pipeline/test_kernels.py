"""Kernels of counters: several at once get what each gets alone, and one that fails fails alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.decision.notice import Evidence
from ipp.core.parameters import Parameters
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import (
    CURVES,
    NOTICES,
    PREDICTIVE_MODEL,
    PUBLISHED_RESULTS,
    TRADITIONAL_MODEL,
)
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE
from ipp.pipeline.runners.counter_batch import MAX_BATCH_ROWS, count_fitting
from ipp.pipeline.runners.runner import Kernel
from ipp.pipeline.stages.factor_stage import FactorKernel
from ipp.pipeline.stages.normaliser_stage import NormaliserKernel
from ipp.pipeline.stages.publication_stage import PublicationKernel
from tests.unit.core import strategies

RUNS = st.sampled_from([Parameters(), Parameters(minimum_service=0.8, cover_days=40)])

switches = st.fixed_dictionaries(
    {group.switch_name: st.sampled_from([True, True, False, None]) for group in PRODUCT_GROUPS}
)

profiles = st.fixed_dictionaries(
    {
        "counter_name": st.sampled_from([None, "Farmacia 1", "Farmacia 2"]),
        "inventory_model": st.sampled_from([PREDICTIVE_MODEL, TRADITIONAL_MODEL]),
        "target_investment": st.sampled_from([None, 500.0, 20_000.0]),
        "counter_sales_value": st.sampled_from([None, 0.0, 90_000.0]),
    }
)


@st.composite
def sold(draw: st.DrawFn, mostrador: int) -> pl.DataFrame:
    """What the normaliser takes of a counter: products, sales, stock and forecast."""
    products = draw(strategies.raw_products(most=12))
    count = len(products)

    def column(values: list[float | None]) -> pl.Series:
        drawn = st.lists(st.sampled_from(values), min_size=count, max_size=count)
        return pl.Series(draw(drawn), dtype=pl.Float64)

    return products.with_columns(
        mostrador=pl.lit(mostrador, dtype=pl.Int64),
        area_forecast=pl.col("area_demand"),
        area_sales_365d=column([None, 0.0, 30.0, 900.0]),
        area_sales_90d=column([None, 0.0, 9.0]),
        forecast_mean=column([None, 0.0, 0.4, 7.0]),
        forecast_size=column([None, 0.5, 3.0]),
        forecast_idle=column([None, 0.2]),
        silent_weeks=column([None, 0.0, 12.0]),
        on_hand=column([None, 0.0, 4.0]),
        in_transit=column([None, 2.0]),
        margin=column([None, 3.0, 12.0]),
        unseen_weeks=pl.lit(draw(st.sampled_from([None, "del 5 al 25"])), dtype=pl.String),
        **{
            name: pl.lit(None, dtype=kind)
            for name, kind in {
                "description": pl.String(), "ean": pl.Int64(), "shelf_life": pl.Float64(),
                "vital": pl.Boolean(), "minimum": pl.Int64(), "maximum": pl.Int64(),
            }.items()
        },
    )  # fmt: skip


@st.composite
def chains(draw: st.DrawFn) -> tuple[dict[int, dict[str, object]], dict[int, pl.DataFrame]]:
    """Some counters with their profiles and what each sold."""
    mostradores = draw(st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True))
    profiles_of: dict[int, dict[str, object]] = {
        m: {**draw(profiles), **draw(switches)} for m in mostradores
    }
    return profiles_of, {m: draw(sold(m)) for m in mostradores}


@settings(max_examples=30, deadline=None)
@given(chains(), RUNS)
def test_counters_computed_together_get_what_each_gets_alone(
    chain: tuple[dict[int, dict[str, object]], dict[int, pl.DataFrame]], run: Parameters
) -> None:
    described, rows = chain
    stages: list[tuple[Kernel, Table]] = [
        (NormaliserKernel(described, run), RAW_TABLE),
        (FactorKernel(run), PROCESSED_TABLE),
    ]
    for kernel, table in stages:
        together = conformed(table, [kernel(pl.concat(rows.values()))])
        rows = {m: conformed(table, [kernel(own)]) for m, own in rows.items()}
        assert_frame_equal(together, conformed(table, rows.values()), check_exact=True)
    cutoff, old = dt.date(2026, 10, 25), dt.date(2026, 9, 1)
    days = [(m, 1, old, 500.0) for m in rows]
    evidence = Evidence(
        cutoff,
        last_sale=dict.fromkeys(rows, old),
        last_count=dict.fromkeys(rows, old),
        days=pl.DataFrame(days, schema=["mostrador", "material", "date", "units"], orient="row"),
    )
    publish = PublicationKernel("ipp-1", evidence, run)
    at_once, each = publish(pl.concat(rows.values())), [publish(own) for own in rows.values()]
    for index, table in enumerate((CURVES, NOTICES, PUBLISHED_RESULTS)):
        alone = conformed(table, [published[index] for published in each])
        assert_frame_equal(conformed(table, [at_once[index]]), alone, check_exact=True)


def conformed(table: Table, frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([table.conform_rows(rows.lazy()) for rows in frames]).sort(table.key).collect()


@given(st.integers(0, 400_000), st.integers(1, 32))
def test_a_batch_has_few_rows_or_one_counter(rows: int, most: int) -> None:
    counters = count_fitting(pl.DataFrame({"units": pl.zeros(rows, eager=True)}), most)
    assert 1 <= counters <= most
    assert counters == 1 or counters * rows <= MAX_BATCH_ROWS
    assert counters == most or (counters + 1) * rows > MAX_BATCH_ROWS
