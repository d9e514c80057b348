"""Ordering policies: the predictive model and its benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np
from typing_extensions import override

from ipp.core.decision.demand import Demand
from ipp.core.parameters import REFERENCE_FACTOR, Parameters
from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import Floats, Ints, Panel
from ipp.core.predictive.season import learn_season
from ipp.core.replay.scenario import draw_scenarios
from ipp.core.replay.simulate import OrderPolicy, OrderTerms, StockPosition, replay_policy
from ipp.core.traditional.history import QUARTER_DAYS, YEAR_DAYS

ODDS_MULTIPLES: Final = (0.8, 0.9, 1.0, 1.1, 1.25)
"""Multiples of the critical ratio's odds to try on the past; 1 is the newsvendor's."""

TUNING_PERIODS: Final = 12
"""Last periods of history on which `ODDS_MULTIPLES` are tried."""

MAX_TUNING_SERIES: Final = 1_000
"""Largest number of series on which `ODDS_MULTIPLES` are tried."""

MIN_TUNING_HISTORY_PERIODS: Final = 26
"""Least history, before the tuning periods, with which the service level is tuned."""

NEGLIGIBLE_COST_SHARE: Final = 0.01
"""A saving below this share of the cost is no reason to leave the critical ratio."""

_ROUNDING_TOLERANCE: Final = 1e-9
"""Tolerance for the rounding error of a service level times the number of scenarios."""

SMOOTHING_WEIGHTS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Smoothing weights (alpha) that exponential smoothing chooses from."""


class PolicyKind(StrEnum):
    """The policies, by the name used on the command line."""

    IPP = "ipp"
    """The predictive model: scenarios in which stock may sell out before the order arrives."""
    SPP = "spp"
    """The traditional model: order up to its cover."""
    SES = "ses"
    """Simple exponential smoothing of each series, with normal safety stock."""
    MEDIA13 = "media13"
    """The mean of 13 periods, held for one period more than the horizon."""


def build_policy(
    kind: PolicyKind, terms: OrderTerms, *, days: float, cover_days: float = Parameters().cover_days
) -> OrderPolicy:
    """Build the policy of this ``kind``; a period has ``days`` days."""
    match kind:
        case PolicyKind.IPP:
            return PredictivePolicy.for_periods(terms, days)
        case PolicyKind.SPP:
            return TraditionalPolicy(days, cover_days)
        case PolicyKind.SES:
            return SmoothingPolicy(terms)
        case PolicyKind.MEDIA13:
            return MovingMeanPolicy(terms.horizon + 1)


@dataclass(slots=True)
class PredictivePolicy(OrderPolicy):
    """The predictive model: a newsvendor on scenarios of demand with lost sales.

    Stock on hand and in transit sells out in each scenario, and the order covers what is short on
    arrival; a lost sale is not backordered. The service level is tuned on the past, up to the
    decision, unless ``aim`` fixes it. A year has ``cycle`` periods, 0 where that is unknown.
    """

    terms: OrderTerms
    cycle: int = 0
    aim: float | None = None
    _known: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def for_periods(cls, terms: OrderTerms, days: float) -> PredictivePolicy:
        """Build the policy for periods of ``days`` days."""
        return cls(terms, cycle=round(YEAR_DAYS / days))

    @override
    def order(self, past: Panel, stock: StockPosition) -> Ints:
        aim = self.aim if self.aim is not None else self._tune_service_level(past)
        return _units_to_order(self.simulate_demand(past), stock, self.terms, aim)

    def simulate_demand(self, past: Panel) -> Floats:
        """Draw scenarios of demand over the horizon: n × horizon × `SCENARIO_COUNT`.

        The mean is forecast over the whole horizon, the spread for a single period.
        """
        horizon = self.terms.horizon
        year = learn_season(past, self.cycle, horizon)
        plain = year.deseasonalise(past)
        mean = forecast_demand(plain, calibrate_forecast(plain, horizon)).mean / horizon
        single = forecast_demand(plain, calibrate_forecast(plain, 1))
        usual = Demand(mean, single.dispersion, single.zero_inflation)
        return draw_scenarios(
            [usual.scale_mean(year.mean_factor(past, ahead, ahead + 1)) for ahead in range(horizon)]
        )

    def _tune_service_level(self, past: Panel) -> float:
        """Return the service level that would have cost least in the last periods."""
        ratio = self.terms.critical_ratio
        first = past.periods - TUNING_PERIODS
        if first < MIN_TUNING_HISTORY_PERIODS:
            return ratio
        rows = np.linspace(0, len(past) - 1, min(len(past), MAX_TUNING_SERIES)).astype(np.int64)
        sample = past.select(np.unique(rows))
        for period in range(first, past.periods):
            if period not in self._known:
                self._known[period] = self.simulate_demand(sample.truncate_at(period))
        # Odds, not probabilities, are multiplied, so that every trial stays inside (0, 1): 0.83 has
        # odds of 5, and 1.25 times those are 6.25, which is a service level of 0.862.
        odds = [ratio / (1 - ratio) * multiple for multiple in ODDS_MULTIPLES]
        aims = [odd / (1 + odd) for odd in odds]
        costs = np.array([self._replay_cost(sample, first, aim) for aim in aims])
        costs[ODDS_MULTIPLES.index(1.0)] *= 1 - NEGLIGIBLE_COST_SHARE
        return aims[int(costs.argmin())]

    def _replay_cost(self, past: Panel, first: int, aim: float) -> float:
        """Return the cost of the periods since ``first``, from the arrival of their first order."""
        nothing = StockPosition.empty(len(past), self.terms.lead)
        outcomes = replay_policy(
            past, ScenarioPolicy(self.terms, aim, self._known), self.terms, nothing, first
        )
        return sum(
            outcome.cost(self.terms)
            for outcome in outcomes
            if outcome.period >= first + self.terms.lead
        )


@dataclass(frozen=True, slots=True)
class ScenarioPolicy(OrderPolicy):
    """Ordering by given scenarios of each period; ``aim`` is one service level, or one a series."""

    terms: OrderTerms
    aim: float | Floats
    known: Mapping[int, Floats]

    @override
    def order(self, past: Panel, stock: StockPosition) -> Ints:
        return _units_to_order(self.known[past.periods], stock, self.terms, self.aim)


def _units_to_order(
    demand: Floats, stock: StockPosition, terms: OrderTerms, aim: float | Floats
) -> Ints:
    """Return the least units that suffice with chance ``aim`` until the next order arrives.

    ``demand`` is n × horizon × scenarios. A series whose ``aim`` is 0 orders nothing.
    """
    # Until the order arrives, demand beyond stock is lost, hence the maximum with 0 in each period.
    # Stock 5, nothing in transit and demand 3, 4 leave 2, 0: the order does not make up for the two
    # units missed.
    left: Floats = np.repeat(stock.on_hand[:, None], demand.shape[2], axis=1)
    for period in range(terms.lead):
        left = np.maximum(left + stock.in_transit[:, period, None] - demand[:, period], 0)
    later = stock.in_transit[:, terms.lead : terms.horizon].sum(axis=1)
    needed = np.sort(demand[:, terms.lead :].sum(axis=1) - left - later[:, None], axis=1)
    # The order is the empirical quantile: of 128 scenarios in ascending order, aim 0.9 takes
    # ceil(115.2) = 116, the element with index 115.
    place = np.ceil(np.asarray(aim) * demand.shape[2] - _ROUNDING_TOLERANCE).astype(np.int64) - 1
    enough = needed[np.arange(len(needed)), np.clip(place, 0, demand.shape[2] - 1)]
    units: Ints = np.where(place >= 0, np.maximum(enough, 0), 0).astype(np.int64)
    return units


@dataclass(frozen=True, slots=True)
class TraditionalPolicy(OrderPolicy):
    """Order-up-to policy with the traditional model's cover: Factor D, rounded at ``factor``.

    ``days`` is the length of a period, ``cover_days`` dias_inventario.
    """

    days: float
    cover_days: float
    factor: float = REFERENCE_FACTOR

    @override
    def order(self, past: Panel, stock: StockPosition) -> Ints:
        year = self._daily_mean(past, YEAR_DAYS)
        quarter = self._daily_mean(past, QUARTER_DAYS)
        cover = (year + 2 * quarter) / 3 * self.cover_days
        whole = np.floor(cover)
        return _order_up_to(whole + (cover - whole >= self.factor), stock)

    def _daily_mean(self, past: Panel, days: int) -> Floats:
        """Return the units a day over the last ``days``, or over the whole history if shorter."""
        periods = min(max(1, round(days / self.days)), past.periods)
        daily: Floats = past.units[:, -periods:].sum(axis=1) / (periods * self.days)
        return daily


@dataclass(frozen=True, slots=True)
class SmoothingPolicy(OrderPolicy):
    """Order-up-to policy: exponential smoothing over the horizon, plus normal safety stock."""

    terms: OrderTerms

    @override
    def order(self, past: Panel, stock: StockPosition) -> Ints:
        level, error = _smooth_level(past.units)
        horizon = self.terms.horizon
        safety = NormalDist().inv_cdf(self.terms.critical_ratio) * error * np.sqrt(horizon)
        return _order_up_to(np.rint(level * horizon + safety), stock)


@dataclass(frozen=True, slots=True)
class MovingMeanPolicy(OrderPolicy):
    """Order-up-to policy: ``cover`` periods of the mean of the last 13."""

    cover: int

    @override
    def order(self, past: Panel, stock: StockPosition) -> Ints:
        return _order_up_to(np.rint(past.units[:, -13:].mean(axis=1) * self.cover), stock)


def _smooth_level(units: Floats) -> tuple[Floats, Floats]:
    """Return each series' level by its best smoothing weight, and the RMSE of that weight.

    The weight is the one of `SMOOTHING_WEIGHTS` with the least squared one-step errors.
    """
    best, kept = np.full(len(units), np.inf), np.zeros(len(units))
    for alpha in SMOOTHING_WEIGHTS:
        level, wrong = units[:, 0].copy(), np.zeros(len(units))
        for period in range(1, units.shape[1]):
            miss = units[:, period] - level
            wrong += miss**2
            level += alpha * miss
        better = wrong < best
        best, kept = np.where(better, wrong, best), np.where(better, level, kept)
    return kept, np.sqrt(best / max(units.shape[1] - 1, 1))


def _order_up_to(level: Floats, stock: StockPosition) -> Ints:
    """Return the units that raise the stock position to ``level``."""
    return np.maximum(level - stock.position, 0).astype(np.int64)
