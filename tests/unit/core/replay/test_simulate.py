"""Replaying history: what is conserved, what is lost, and what nobody may know beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from typing_extensions import override

from ipp.core.decision.demand import Demand
from ipp.core.predictive.panel import Panel
from ipp.core.replay.frontier import interpolate_fill_rate, interpolate_stock, trace_frontier
from ipp.core.replay.policy import PolicyKind, PredictivePolicy, build_policy
from ipp.core.replay.scenario import SCENARIO_COUNT, draw_scenarios
from ipp.core.replay.simulate import (
    OrderPolicy,
    OrderTerms,
    StockPosition,
    replay_policy,
    score_outcomes,
)


class Always(OrderPolicy):
    """Orders the same every time, and remembers what it saw."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.seen: list[tuple[int, float, float]] = []

    @override
    def order(self, past: Panel, stock: StockPosition) -> np.ndarray:
        self.seen.append((past.periods, float(stock.on_hand.sum()), float(stock.in_transit.sum())))
        return np.full(len(past), self.units)


demands = npst.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(3, 20)), elements=st.integers(0, 20)
)
terms = st.builds(OrderTerms, st.integers(1, 3), st.integers(0, 4), st.just(0.2), st.just(1.0))


@given(demands, terms, st.integers(0, 15), st.integers(0, 10))
def test_no_unit_appears_or_vanishes(
    units: np.ndarray, terms: OrderTerms, ordered: int, on_hand: int
) -> None:
    n = len(units)
    begin = StockPosition(np.full(n, float(on_hand)), np.ones((n, terms.lead)))
    outcomes = list(replay_policy(Panel.build(units), Always(ordered), terms, begin, 1))
    came_in = sum(float(outcome.ordered.sum()) for outcome in outcomes)
    late = [outcome for outcome in outcomes if outcome.period + terms.lead >= units.shape[1]]
    on_its_way = sum(float(outcome.ordered.sum()) for outcome in late)
    unarrived = n * max(0, terms.lead - len(outcomes))
    sold = sum(float(outcome.served.sum()) for outcome in outcomes)
    total = begin.position.sum() + came_in - on_its_way - unarrived
    assert total == pytest.approx(sold + float(outcomes[-1].left.sum()))


@given(demands, terms, st.integers(0, 15))
def test_what_is_served_was_there_and_was_asked_for(
    units: np.ndarray, terms: OrderTerms, ordered: int
) -> None:
    for outcome in replay_policy(
        Panel.build(units), Always(ordered), terms, StockPosition.empty(len(units), terms.lead), 1
    ):
        assert (outcome.served <= outcome.demand).all()
        assert (outcome.left >= 0).all()
        missed = outcome.demand - outcome.served
        assert ((missed == 0) | (outcome.left == 0)).all()  # nothing is kept back


@pytest.mark.parametrize("lead", [0, 1, 2, 3])
def test_an_order_arrives_before_its_period_and_not_earlier(lead: int) -> None:
    units = np.full((1, 8), 5.0)
    outcomes = list(
        replay_policy(
            Panel.build(units), Always(5), OrderTerms(lead=lead), StockPosition.empty(1, lead), 2
        )
    )
    assert [float(outcome.served[0]) for outcome in outcomes] == [0.0] * lead + [5.0] * (6 - lead)


def test_decisions_are_made_at_each_review_alone_and_by_the_past_alone() -> None:
    always = Always(1)
    list(
        replay_policy(
            Panel.build(np.ones((2, 10))),
            always,
            OrderTerms(review=3, lead=1),
            StockPosition.empty(2, 1),
            1,
        )
    )
    assert [periods for periods, _, _ in always.seen] == [1, 4, 7]


def test_by_hand() -> None:
    """Five on hand, three arriving, 4 and 6 asked for: one left, then nothing and two lost."""
    units = np.array([[0.0, 4.0, 6.0]])
    stock = StockPosition(np.array([5.0]), np.array([[0.0, 3.0]]))
    outcomes = list(replay_policy(Panel.build(units), Always(0), OrderTerms(), stock, 1))
    assert [float(o.left[0]) for o in outcomes] == [1.0, 0.0]
    assert [o.cost(OrderTerms()) for o in outcomes] == [pytest.approx(0.2), pytest.approx(2.0)]
    total = score_outcomes(outcomes, OrderTerms())
    assert [total.cost, total.fill_rate, total.held] == pytest.approx([2.2, 0.8, 0.5])


def shop(periods: int, seed: int = 1, n: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = rng.gamma(1.0, 4.0, n)
    return rng.poisson(level[:, None] * rng.gamma(3.0, 1 / 3, (n, periods))).astype(float)


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_a_spike_to_come_leaves_no_trace_in_any_order_before_it(kind: PolicyKind) -> None:
    calm = shop(60)
    spiked = calm.copy()
    spiked[:, 55:] = 1_000.0
    terms = OrderTerms()
    begin = StockPosition(calm[:, :40].mean(axis=1).round() * 2, np.zeros((len(calm), terms.lead)))
    for one, other in zip(
        *(
            replay_policy(Panel.build(u), build_policy(kind, terms, days=7.0), terms, begin, 50)
            for u in (calm, spiked)
        ),
        strict=True,
    ):
        if one.period <= 55:
            assert (one.ordered == other.ordered).all(), one.period


def test_the_predictive_policy_costs_less_than_those_it_is_measured_against() -> None:
    units, terms = shop(90, n=400), OrderTerms()
    begin = StockPosition(
        units[:, :60].mean(axis=1).round() * 2,
        np.repeat(units[:, :60].mean(axis=1).round()[:, None], 2, 1),
    )
    costs = {
        kind: score_outcomes(
            replay_policy(
                Panel.build(units), build_policy(kind, terms, days=7.0), terms, begin, 70
            ),
            terms,
        ).cost
        for kind in PolicyKind
    }
    assert min(costs, key=lambda kind: costs[kind]) is PolicyKind.IPP


def test_the_longer_a_shortage_costs_the_more_is_ordered() -> None:
    past, stock = Panel.build(shop(60)), StockPosition.empty(120, 2)
    ordered = [
        PredictivePolicy(
            OrderTerms(shortage=cost), aim=OrderTerms(shortage=cost).critical_ratio
        ).order(past, stock)
        for cost in (0.3, 1, 9)
    ]
    assert (np.diff([units.sum() for units in ordered]) > 0).all()


@given(st.floats(0.1, 50), st.floats(0.3, 30))
def test_scenarios_have_the_mean_and_the_quantiles_of_their_demand(
    mean: float, size: float
) -> None:
    demand = Demand.negative_binomial(np.array([mean]), size)
    drawn = draw_scenarios([demand] * 3)
    assert drawn.shape == (1, 3, SCENARIO_COUNT)
    spread = np.sqrt(mean + mean**2 / size)
    for period in range(3):
        assert drawn[0, period].mean() == pytest.approx(mean, abs=0.2 * spread + 0.1)
        share = (drawn[0, period] <= demand.quantile(0.8)[0]).mean()
        assert share >= 0.8 - 0.06


def test_scenarios_are_the_same_at_every_call() -> None:
    demand = Demand.negative_binomial(np.array([3.0, 0.2]), 2.0)
    assert (draw_scenarios([demand] * 2) == draw_scenarios([demand] * 2)).all()


@settings(deadline=None)
@given(st.floats(0.5, 0.99))
def test_on_a_frontier_more_service_holds_more(rate: float) -> None:
    points = FRONTIER
    ours = [point for point in points if point.kind is PolicyKind.IPP]
    held = interpolate_stock(ours, rate)
    assert interpolate_stock(ours, min(rate + 0.005, 0.995)) >= held
    low, high = min(p.fill_rate for p in ours), max(p.fill_rate for p in ours)
    assert interpolate_fill_rate(ours, held) == pytest.approx(np.clip(rate, low, high), abs=0.02)


FRONTIER = trace_frontier(
    Panel.build(shop(60)),
    OrderTerms(lead=1),
    StockPosition(np.full(120, 8.0), np.zeros((120, 1))),
    40,
    46,
    days=7.0,
)
