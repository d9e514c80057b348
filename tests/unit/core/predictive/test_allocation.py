"""Job 2 of the predictive model: its limits, its reasons, and that no other order is better."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.decision.publication import PublishedCounters, publish_counters
from ipp.core.decision.stock_decision import Rule
from ipp.core.parameters import MIN_CHANCE, Parameters
from ipp.core.tables import CURVES, PUBLISHED_RESULTS, RESULTS
from ipp.core.workbook_columns import PROCESSED_TABLE


@st.composite
def rows(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(1, 12))

    def column(values: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(values, min_size=n, max_size=n))

    frame = pl.DataFrame(
        {
            "mostrador": [1] * n,
            "material": list(range(10, 10 + n)),
            "inventory_model": ["IPP"] * n,
            "price": column(st.sampled_from([None, 5.0, 40.0, 120.5, 900.0, 4_000.0])),
            "forecast_mean": column(st.sampled_from([None, 0.0, 0.2, 1.0, 3.5, 20.0])),
            "forecast_size": column(st.sampled_from([0.3, 1.0, 7.0])),
            "forecast_idle": column(st.sampled_from([0.0, 0.3])),
            "factor_9": column(st.sampled_from([None, 0.0, 1.4])),
            "inner_pack": column(st.sampled_from([None, 1, 6])),
            "minimum": column(st.sampled_from([None, None, 0, 2])),
            "maximum": column(st.sampled_from([None, None, 0, 3, 12])),
            "vital": column(st.sampled_from([None, False, True])),
            "shelf_life": column(st.sampled_from([None, None, 10.0, 365.0])),
            "on_hand": column(st.sampled_from([None, 0.0, 4.0])),
            "in_transit": column(st.sampled_from([None, 0.0, 2.0])),
            "exclusion_group": column(st.sampled_from([None, None, None, "OTC"])),
            "silent_weeks": column(st.sampled_from([None, 0.0, 20.0])),
            "target_investment": [draw(st.sampled_from([0.0, 50.0, 1_000.0, 30_000.0]))] * n,
        },
        strict=False,
    )
    return PROCESSED_TABLE.conform_rows(frame.lazy()).collect()


runs = st.sampled_from([None, 0.0, 0.5, 0.9, 0.999]).map(
    lambda service: Parameters(minimum_service=service)
)
"""Runs with and without a minimum fill rate."""


def result(found: PublishedCounters) -> pl.DataFrame:
    return RESULTS.conform_rows(found.rows.lazy()).collect()


@settings(max_examples=50)
@given(rows(), runs)
def test_packs_stay_whole_and_no_limit_is_passed(frame: pl.DataFrame, run: Parameters) -> None:
    found = result(publish_counters(frame, run)).join(
        frame.select("material", "minimum", "maximum"), on="material", how="left"
    )
    pack = found["inner_pack"].fill_null(1)
    assert (found["optimum"] % pack == 0).all()
    assert (found["optimum"] <= found["maximum"].fill_null(10**9)).all()
    stocked = found.filter(
        pl.col("exclusion").is_null()
        & pl.col("maximum").is_null()
        & pl.col("minimum").is_not_null()
    )
    limited = frame.filter(pl.col("shelf_life").is_not_null())["material"]
    free = stocked.filter(~pl.col("material").is_in(limited.implode()))
    assert (free["optimum"] >= free["minimum"]).all()
    assert (found.filter(pl.col("exclusion").is_not_null())["optimum"] == 0).all()


@settings(max_examples=50)
@given(rows(), runs)
def test_the_money_is_kept_to_unless_what_must_be_there_costs_more(
    frame: pl.DataFrame, run: Parameters
) -> None:
    """A minimum fill rate must be there only as far as the money reaches."""
    found = result(publish_counters(frame, run))
    rows = publish_counters(frame, Parameters()).rows
    must = float((rows["minimum_units"] * rows["price"].fill_null(0.0)).sum())
    assert found["optimum_value"].sum() <= max(frame["target_investment"][0], must) + 0.01


@settings(max_examples=50)
@given(rows(), runs)
def test_what_is_published_of_the_limits_is_what_the_sentence_says(
    frame: pl.DataFrame, run: Parameters
) -> None:
    published_rows = publish_counters(frame, run).rows.lazy()
    for row in PUBLISHED_RESULTS.conform_rows(published_rows).collect().iter_rows(named=True):
        rule, reason = Rule(row["rule"]), row["reason"]
        assert (rule is Rule.EXCLUDED) == (row["exclusion"] is not None)
        if rule is Rule.EXCLUDED:
            continue
        assert (row["optimum"] < row["minimum_units"]) == (rule is Rule.SHORT_OF_MONEY)
        assert row["maximum_units"] is None or row["optimum"] <= row["maximum_units"]
        assert SENTENCES[rule].format(**row) in reason
        assert [other for other, part in SENTENCES.items() if part.format(**row) in reason] == [
            rule
        ]


SENTENCES = {
    Rule.VITAL: "es vital y no baja de {minimum_units}",
    Rule.MINIMUM: "su mínimo es ",
    Rule.SERVICE: "% pide {minimum_units}",
    Rule.SHORT_OF_MONEY: "el dinero no alcanza para el servicio mínimo de ",
    Rule.MAXIMUM: "no conviene tener más de {maximum_units}: por su máximo o su caducidad",
    Rule.RARE_DEMAND: " casi nunca se vendería",
    Rule.BUDGET: "% de las veces, y ",
}
"""What the reason has where each rule set the quantity."""


@settings(max_examples=50)
@given(rows())
def test_every_quantity_has_its_reason_with_its_number_in_it(frame: pl.DataFrame) -> None:
    for row in result(publish_counters(frame, Parameters())).iter_rows(named=True):
        if row["exclusion"] is None:
            assert row["reason"].startswith(f"Óptimo {row['optimum']}: se espera")
            assert row["reason"].endswith(".")
        else:
            assert row["reason"].startswith("No se surte: ")


@settings(max_examples=50)
@given(rows())
def test_what_is_ordered_fills_up_to_the_optimum_in_whole_packs(frame: pl.DataFrame) -> None:
    for row in result(publish_counters(frame, Parameters())).iter_rows(named=True):
        if row["on_hand"] is None:
            assert row["suggested_order"] is None
            continue
        pack = row["inner_pack"] or 1
        missing = max(0.0, row["optimum"] - row["on_hand"] - (row["in_transit"] or 0.0))
        assert row["suggested_order"] % pack == 0
        assert missing <= row["suggested_order"] < missing + pack


@settings(max_examples=50)
@given(rows(), runs)
def test_the_curve_rises_and_holds_what_was_chosen_with_its_gap(
    frame: pl.DataFrame, run: Parameters
) -> None:
    found = publish_counters(frame, run)
    curve = CURVES.conform_rows(found.curves.lazy()).collect()
    assert curve["investment"].is_sorted()
    rates = curve["fill_rate"].drop_nulls()
    assert (rates.diff().drop_nulls() >= -1e-6).all()
    chosen = curve.filter("chosen")
    assert len(chosen) == 1
    assert chosen["investment"][0] == pytest.approx(result(found)["optimum_value"].sum(), abs=0.01)
    assert 0 <= chosen["gap"][0] <= 1


def test_no_point_of_the_curve_serves_less_than_a_cheaper_one() -> None:
    """Found by chance: 50 MXN short of a minimum served more than the minimum for 65 MXN."""
    frame = pl.DataFrame(
        [
            product(price=5.0, forecast_mean=3.5, forecast_size=0.3, target_investment=50.0),
            product(price=40.0, forecast_mean=0.2, forecast_size=0.3, target_investment=50.0)
            | {"material": 2},
        ]
    )
    processed = PROCESSED_TABLE.conform_rows(frame.lazy()).collect()
    curve = publish_counters(processed, Parameters(minimum_service=0.5)).curves
    assert curve.filter("chosen")["investment"].to_list() == [50.0]
    assert curve["fill_rate"].is_sorted()


service_levels = st.sampled_from([0.3, 0.9, 0.99, 0.999])


def with_share(frame: pl.DataFrame, run: Parameters, share: float) -> pl.DataFrame:
    """Return the products with a share of the money that all limits and the service cost."""
    asked = publish_counters(frame, run).rows
    enough = float((asked["minimum_units"] * asked["price"].fill_null(0.0)).sum())
    return frame.with_columns(target_investment=pl.lit(share * enough))


@settings(max_examples=50)
@given(rows(), service_levels)
def test_with_just_enough_money_no_product_is_served_worse_than_was_asked(
    frame: pl.DataFrame, service: float
) -> None:
    """But for its maximum and its shelf life, which prevail."""
    run = Parameters(minimum_service=service)
    published_rows = publish_counters(with_share(frame, run, 1.0), run).rows
    assert (published_rows["optimum"] == published_rows["minimum_units"]).all()
    sells = pl.col("exclusion").is_null() & (pl.col("expected_demand") > 0)
    for row in published_rows.filter(sells).iter_rows(named=True):
        at_maximum = row["maximum_units"] is not None and row["optimum"] == row["maximum_units"]
        assert row["fill_rate"] >= service - 5e-5 or at_maximum


@settings(max_examples=90)
@given(rows(), service_levels, st.floats(0.1, 0.99))
def test_what_the_money_does_not_reach_for_could_not_be_bought_with_the_rest(
    frame: pl.DataFrame, service: float, share: float
) -> None:
    """Neither with what is left, nor with all that was spent beyond what was asked."""
    run = Parameters(minimum_service=service)
    frame = with_share(frame, run, share)
    published_rows = publish_counters(frame, run).rows
    left = frame["target_investment"][0] - published_rows["optimum_value"].sum()
    beyond = (published_rows["optimum"] - published_rows["minimum_units"]).clip(0)
    left += (beyond * published_rows["price"].fill_null(0.0)).sum()
    likely = pl.col("next_chance") >= MIN_CHANCE
    short = published_rows.filter(likely, rule=Rule.SHORT_OF_MONEY.value)
    assert (short["price"] * short["inner_pack"].fill_null(1) > left - 1e-3).all()


@settings(max_examples=50)
@given(rows())
def test_a_minimum_service_of_none_is_as_if_it_were_not_given(frame: pl.DataFrame) -> None:
    without, none = (
        publish_counters(frame, Parameters(minimum_service=service)) for service in (None, 0.0)
    )
    assert none.rows.equals(without.rows)
    assert none.curves.equals(without.curves)


def test_each_product_is_served_as_asked_before_the_rest_goes_where_it_earns_most() -> None:
    cheap, dear = product(price=1.0), product(material=2, price=30.0)
    frame = PROCESSED_TABLE.conform_rows(pl.DataFrame([cheap, dear]).lazy()).collect()
    free, asked, short = (
        result(publish_counters(frame.with_columns(target_investment=pl.lit(total)), run))
        for total, run in (
            (100.0, Parameters()),
            (170.0, Parameters(minimum_service=0.8)),
            (100.0, Parameters(minimum_service=0.8)),
        )
    )
    assert free["fill_rate"][1] < 0.8 <= asked["fill_rate"][1]
    assert "el servicio mínimo de 80% pide" in asked["reason"][1]
    assert short["fill_rate"][1] < 0.8 <= short["fill_rate"][0]
    assert "el dinero no alcanza para el servicio mínimo de 80%" in short["reason"][1]
    assert short["budget_change"][1] < 0


def product(**values: object) -> dict[str, object]:
    usual = {
        "mostrador": 1, "material": 1, "inventory_model": "IPP", "price": 10.0,
        "forecast_mean": 4.0, "forecast_size": 5.0, "forecast_idle": 0.0,
        "target_investment": 100.0,
    }  # fmt: skip
    return usual | values


def published(*products: dict[str, object]) -> pl.DataFrame:
    frame = PROCESSED_TABLE.conform_rows(
        pl.DataFrame(list(products), infer_schema_length=None, strict=False).lazy()
    ).collect()
    return result(publish_counters(frame, Parameters()))


def test_a_margin_moves_the_money_to_what_earns_more() -> None:
    alike = published(product(), product(material=2))
    assert abs(alike["optimum"][0] - alike["optimum"][1]) <= 1
    rich = published(product(margin=9.0), product(material=2, margin=1.0))
    assert rich["optimum"][0] > alike["optimum"][0] > rich["optimum"][1]


def test_a_vital_product_is_served_first_and_says_so() -> None:
    found = published(
        product(target_investment=40.0), product(material=2, vital=True, target_investment=40.0)
    )
    assert found["optimum"][1] == found["demand_p95"][1]
    assert f"es vital y no baja de {found['optimum'][1]}" in found["reason"][1]


def test_no_more_is_held_than_can_be_sold_before_it_expires() -> None:
    found = published(product(shelf_life=10.0, target_investment=1_000.0))
    assert found["optimum"].to_list() == [1]  # 4 in 21 days, 10 of them
    assert "caducidad" in found["reason"][0]


def test_a_product_that_the_area_never_sold_is_expected_by_its_share_of_the_area() -> None:
    found = published(
        product(forecast_mean=None, forecast_size=None, forecast_idle=None, factor_9=2.5)
    )
    assert found["expected_demand"].to_list() == [2.5]
