"""What to order: the predictive model, and those it is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np

from ipp.core.decision.demand import Demand
from ipp.core.parameters import REFERENCE_FACTOR, Parameters
from ipp.core.predictive.forecast import calibrate_forecast, forecast_demand
from ipp.core.predictive.panel import Floats, Ints, Panel
from ipp.core.predictive.season import learn_season
from ipp.core.replay.scenario import draw_scenarios
from ipp.core.replay.simulate import OrderPolicy, OrderTerms, StockPosition, replay_policy
from ipp.core.traditional.history import QUARTER_DAYS, YEAR_DAYS

ODDS_MULTIPLES: Final = (0.8, 0.9, 1.0, 1.1, 1.25)
"""Multiples of the odds of being enough that are tried on the past: 1 is the newsvendor's."""

TUNING_PERIODS: Final = 12
"""Periods of the past on which they are tried."""

MAX_TUNING_SERIES: Final = 1_000
"""Series on which they are tried, at most."""

MIN_TUNING_HISTORY_PERIODS: Final = 26
"""Periods of past below which nothing is tried."""

NEGLIGIBLE_COST_SHARE: Final = 0.01
"""A part of the cost that is no reason to leave the newsvendor's chance."""

_ROUNDING_TOLERANCE: Final = 1e-9
"""What a chance times the number of scenarios may be off by."""

SMOOTHING_WEIGHTS: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Weights of the last period that exponential smoothing chooses from."""


class PolicyKind(StrEnum):
    """The policies, by the word people type."""

    IPP = "ipp"
    """Demand as a distribution; what is on its way may itself sell out before the order arrives."""
    SPP = "spp"
    """The traditional model's cover."""
    SES = "ses"
    """Exponential smoothing of each series and normal safety stock."""
    MEDIA13 = "media13"
    """The mean of 13 periods, and one period more of it than an order must last."""


def build_policy(
    kind: PolicyKind, terms: OrderTerms, *, days: float, cover_days: float = Parameters().cover_days
) -> OrderPolicy:
    """The policy that is called ``kind``; a period has ``days`` days."""
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
class PredictivePolicy:
    """Orders what is still missing, with the chance that its cost asks for, when the order arrives.

    What is on hand and on its way is let sell out in scenarios of demand; a lost sale leaves nothing to fill up. How
    sure to be is tried on the past, up to the decision. A year has ``cycle`` periods, 0 where it is not known; ``aim``
    is the chance where it is not to be tried.
    """

    terms: OrderTerms
    cycle: int = 0
    aim: float | None = None
    _known: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def for_periods(cls, terms: OrderTerms, days: float) -> PredictivePolicy:
        """For periods of ``days`` days."""
        return cls(terms, cycle=round(YEAR_DAYS / days))

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Units to order now, shape n."""
        aim = self.aim if self.aim is not None else self._tune_service_level(past)
        return _units_to_order(self.simulate_demand(past), stock, self.terms, aim)

    def simulate_demand(self, past: Panel) -> Floats:
        """Scenarios of demand in each period of the horizon: its mean by the whole of it, its spread by one."""
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
        """The chance of being enough that would have cost least in the last periods before now."""
        sure = self.terms.critical_ratio
        first = past.periods - TUNING_PERIODS
        if first < MIN_TUNING_HISTORY_PERIODS:
            return sure
        rows = np.linspace(0, len(past) - 1, min(len(past), MAX_TUNING_SERIES)).astype(np.int64)
        some = past.select(np.unique(rows))
        for period in range(first, past.periods):
            if period not in self._known:
                self._known[period] = self.simulate_demand(some.truncate_at(period))
        odds = [sure / (1 - sure) * multiple for multiple in ODDS_MULTIPLES]
        aims = [odd / (1 + odd) for odd in odds]
        costs = np.array([self._replay_cost(some, first, aim) for aim in aims])
        costs[ODDS_MULTIPLES.index(1.0)] *= 1 - NEGLIGIBLE_COST_SHARE
        return aims[int(costs.argmin())]

    def _replay_cost(self, past: Panel, first: int, aim: float) -> float:
        """What the last periods would have cost, from when the first order of them arrives."""
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
class ScenarioPolicy:
    """Orders by scenarios that are known for each period; ``aim`` is one for all series, or one for each."""

    terms: OrderTerms
    aim: float | Floats
    known: Mapping[int, Floats]

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Units to order now, shape n."""
        return _units_to_order(self.known[past.periods], stock, self.terms, self.aim)


def _units_to_order(
    demand: Floats, stock: StockPosition, terms: OrderTerms, aim: float | Floats
) -> Ints:
    """The least units that, on arrival, are enough with chance ``aim`` until the next order's; none where it is 0."""
    left: Floats = np.repeat(stock.on_hand[:, None], demand.shape[2], axis=1)
    for period in range(terms.lead):
        left = np.maximum(left + stock.in_transit[:, period, None] - demand[:, period], 0)
    later = stock.in_transit[:, terms.lead : terms.horizon].sum(axis=1)
    needed = np.sort(demand[:, terms.lead :].sum(axis=1) - left - later[:, None], axis=1)
    place = np.ceil(np.asarray(aim) * demand.shape[2] - _ROUNDING_TOLERANCE).astype(np.int64) - 1
    enough = needed[np.arange(len(needed)), np.clip(place, 0, demand.shape[2] - 1)]
    units: Ints = np.where(place >= 0, np.maximum(enough, 0), 0).astype(np.int64)
    return units


@dataclass(frozen=True, slots=True)
class TraditionalPolicy:
    """Fills up to the traditional model's cover: Factor D, rounded up from the reference factor.

    ``days`` is of a period, ``cover_days`` dias_inventario.
    """

    days: float
    cover_days: float
    factor: float = REFERENCE_FACTOR

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Units to order now, shape n."""
        year = self._daily_mean(past, YEAR_DAYS)
        quarter = self._daily_mean(past, QUARTER_DAYS)
        cover = (year + 2 * quarter) / 3 * self.cover_days
        whole = np.floor(cover)
        return _order_up_to(whole + (cover - whole >= self.factor), stock)

    def _daily_mean(self, past: Panel, days: int) -> Floats:
        """Units a day over the last ``days``, or over what there is."""
        periods = min(max(1, round(days / self.days)), past.periods)
        daily: Floats = past.units[:, -periods:].sum(axis=1) / (periods * self.days)
        return daily


@dataclass(frozen=True, slots=True)
class SmoothingPolicy:
    """Fills up to exponential smoothing's level over the horizon, and normal safety stock over its errors."""

    terms: OrderTerms

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Units to order now, shape n."""
        level, error = _smooth_level(past.units)
        horizon = self.terms.horizon
        safety = NormalDist().inv_cdf(self.terms.critical_ratio) * error * np.sqrt(horizon)
        return _order_up_to(np.rint(level * horizon + safety), stock)


@dataclass(frozen=True, slots=True)
class MovingMeanPolicy:
    """Fills up to ``cover`` periods of the mean of the last 13."""

    cover: int

    def order(self, past: Panel, stock: StockPosition) -> Ints:
        """Units to order now, shape n."""
        return _order_up_to(np.rint(past.units[:, -13:].mean(axis=1) * self.cover), stock)


def _smooth_level(units: Floats) -> tuple[Floats, Floats]:
    """The level of each series by the weight that foresaw it best, and the root mean square of its errors."""
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
    return np.maximum(level - stock.position, 0).astype(np.int64)
