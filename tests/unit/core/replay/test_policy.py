"""What each policy orders, on one to three series by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ipp.core.predictive.panel import Panel
from ipp.core.replay.frontier import (
    FrontierPoint,
    interpolate_fill_rate,
    interpolate_stock,
    trace_frontier,
)
from ipp.core.replay.policy import (
    MovingMeanPolicy,
    PolicyKind,
    PredictivePolicy,
    ScenarioPolicy,
    SmoothingPolicy,
    TraditionalPolicy,
    _smooth_level,
    build_policy,
)
from ipp.core.replay.simulate import OrderTerms, PeriodOutcome, StockPosition, score_outcomes

TERMS = OrderTerms(lead=1, review=1, shortage=3.0, holding=1.0)


def hold(*on_hand: float, lead: int = 1) -> StockPosition:
    return replace(StockPosition.empty(len(on_hand), lead), on_hand=np.array(on_hand))


def order_scenarios(
    demand: list[list[list[float]]], stock: StockPosition, terms: OrderTerms, aim: float
) -> list[int]:
    """Order by scenarios of series × periods × scenarios."""
    policy = ScenarioPolicy(terms, aim, {0: np.array(demand)})
    found: list[int] = policy.order(Panel.build(np.zeros((len(demand), 0))), stock).tolist()
    return found


@pytest.mark.parametrize(
    ("aim", "units"), [(0.0, 0), (0.2, 1), (0.21, 2), (0.4, 2), (0.8, 4), (0.81, 5), (1.0, 5)]
)
def test_the_order_is_the_quantile_of_what_is_short(aim: float, units: int) -> None:
    terms = replace(TERMS, lead=0)
    scenarios = [[[3.0, 1.0, 5.0, 2.0, 4.0]]]
    assert order_scenarios(scenarios, hold(0.0, lead=0), terms, aim) == [units]


def test_what_is_missed_before_the_order_arrives_is_not_made_up_for() -> None:
    """Stock 5 and demand 3, 4, then 6: the order is for the 6 alone."""
    terms = replace(TERMS, lead=2)
    assert order_scenarios([[[3.0], [4.0], [6.0]]], hold(5.0, lead=2), terms, 0.9) == [6]


def test_what_is_left_and_in_transit_is_not_ordered_again() -> None:
    terms = replace(TERMS, lead=2)
    stock = replace(hold(9.0, lead=2), in_transit=np.array([[1.0, 2.0]]))
    # 9 + 1 - 3 = 7, 7 + 2 - 4 = 5; of the 6 that come then, 1 is short.
    assert order_scenarios([[[3.0], [4.0], [6.0]]], stock, terms, 0.9) == [1]
    assert order_scenarios([[[0.0], [0.0], [6.0]]], stock, terms, 0.9) == [0]


def test_an_order_covers_all_periods_until_the_next_one_arrives() -> None:
    terms = replace(TERMS, lead=1, review=3)
    assert order_scenarios([[[2.0], [1.0], [3.0], [4.0]]], hold(2.0), terms, 0.9) == [8]


def test_the_traditional_policy_orders_up_to_its_cover_rounded_at_its_factor() -> None:
    """A year at 1 a week and the last 13 weeks at 2: (1/7 × … by hand) over 21 days."""
    year = np.concatenate([np.ones(39), np.full(13, 2.0)])
    daily, quarter = year.sum() / 364, 2 / 7
    cover = (daily + 2 * quarter) / 3 * 21
    whole = math.floor(cover)
    panel = Panel.build(np.stack([np.concatenate([np.full(10, 99.0), year]), np.zeros(62)]))
    for factor in (cover - whole - 0.01, cover - whole + 0.01):
        ordered = TraditionalPolicy(7.0, 21.0, factor).order(panel, hold(1.0, 1.0))
        assert ordered.tolist() == [whole + (cover - whole >= factor) - 1, 0]


def test_the_traditional_policy_takes_the_whole_of_a_short_history() -> None:
    panel = Panel.build(np.full((1, 4), 7.0))
    assert TraditionalPolicy(7.0, 21.0).order(panel, hold(0.0)).tolist() == [21]


def test_the_moving_mean_is_that_of_thirteen_periods() -> None:
    units = np.concatenate([np.full(5, 90.0), np.full(12, 2.0), [15.0]])
    ordered = MovingMeanPolicy(4).order(Panel.build(units[None]), hold(1.0))
    assert ordered.tolist() == [11]  # 39 / 13 = 3, four times, less the one on hand


def test_smoothing_takes_the_weight_of_least_error() -> None:
    level, error = _smooth_level(np.array([[4.0, 4.0, 4.0], [0.0, 8.0, 8.0], [5.0, 1.0, 5.0]]))
    # 0 → 8 → 8: errors 8 and 8 (1 - alpha), least at 0.5; 5 → 1 → 5: least at 0.02.
    assert level == pytest.approx([4.0, 6.0, 4.92 + 0.02 * (5 - 4.92)])
    assert error == pytest.approx([0.0, np.sqrt((64 + 16) / 2), np.sqrt((16 + 0.08**2) / 2)])


def test_smoothing_holds_its_level_and_a_normal_safety_stock() -> None:
    """Lead 1 and review 1: two periods; 3 of 4 served is 0.674 deviations."""
    panel = Panel.build(np.array([[0.0, 8.0, 8.0]]))
    ordered = SmoothingPolicy(TERMS).order(panel, hold(0.0))
    safety = 0.67449 * np.sqrt(40) * np.sqrt(2)
    assert ordered.tolist() == [round(12 + safety)]


def test_each_kind_builds_its_policy() -> None:
    assert build_policy(PolicyKind.SPP, TERMS, days=7.0) == TraditionalPolicy(7.0, 21.0)
    assert build_policy(PolicyKind.SPP, TERMS, days=7.0, cover_days=9.0) == (
        TraditionalPolicy(7.0, 9.0)
    )
    assert build_policy(PolicyKind.SES, TERMS, days=7.0) == SmoothingPolicy(TERMS)
    assert build_policy(PolicyKind.MEDIA13, TERMS, days=7.0) == MovingMeanPolicy(3)
    predictive = build_policy(PolicyKind.IPP, TERMS, days=7.0)
    assert isinstance(predictive, PredictivePolicy)
    assert (predictive.cycle, predictive.aim) == (52, None)


def test_the_ratio_of_costs_is_the_service_level_where_the_past_is_short() -> None:
    policy = PredictivePolicy(TERMS)
    assert policy._tune_service_level(Panel.build(np.ones((2, 37)))) == 0.75


def test_a_score_adds_up_what_came() -> None:
    columns = [
        (0, [3, 0], [2.0, 1.0], [2.0, 0.0], [1.0, 0.0]),
        (1, [0, 1], [4.0, 0.0], [1.0, 0.0], [0.0, 3.0]),
    ]
    outcomes = [PeriodOutcome(period, *map(np.array, rest)) for period, *rest in columns]
    score = score_outcomes(outcomes, TERMS)
    assert score.costs == (1.0 + 3.0, 3.0 + 9.0)
    assert (score.cost, score.demand, score.served) == (16.0, 7.0, 3.0)
    assert (score.held, score.ordered, score.fill_rate) == (2.0, 4, 3 / 7)
    nothing = score_outcomes([], TERMS)
    assert (nothing.fill_rate, nothing.held, nothing.cost) == (1.0, 0.0, 0.0)


def test_a_frontier_is_read_between_its_points() -> None:
    points = [
        FrontierPoint(PolicyKind.SPP, 2.0, 0.8, 30.0),
        FrontierPoint(PolicyKind.SPP, 1.0, 0.6, 10.0),
    ]
    assert interpolate_stock(points, 0.7) == pytest.approx(20.0)
    assert interpolate_fill_rate(points, 15.0) == pytest.approx(0.65)


def test_a_frontier_has_a_point_for_each_setting_and_counts_from_its_period() -> None:
    units = np.random.default_rng(1).poisson(2.0, (3, 30)).astype(float)
    stock = StockPosition.empty(3, 1)
    price = np.array([10.0, 20.0, 1_000.0])
    plain = trace_frontier(Panel.build(units), TERMS, stock, 24, 26, days=7.0)
    priced = trace_frontier(Panel.build(units), TERMS, stock, 24, 26, days=7.0, price=price)
    counts = {kind: sum(p.kind is kind for p in plain) for kind in PolicyKind}
    assert counts == {
        PolicyKind.IPP: 12, PolicyKind.SPP: 9, PolicyKind.SES: 0, PolicyKind.MEDIA13: 6,
    }  # fmt: skip
    assert [p.setting for p in plain[:12]] == pytest.approx([
        0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99,
    ])  # fmt: skip
    assert [p.setting for p in priced[:2]] == pytest.approx([0.5 / 20, 0.4 / 20])
    # A moving mean of 13 orders up to twice it, so at least the mean is held and most is served.
    two = next(p for p in plain if p.kind is PolicyKind.MEDIA13 and p.setting == 3.0)
    money = next(p for p in priced if p.kind is PolicyKind.MEDIA13 and p.setting == 3.0)
    assert 0 < two.held < units.sum()
    assert money.fill_rate == two.fill_rate
    assert two.held * 10 < money.held < two.held * 1_000
