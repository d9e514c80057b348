"""The features of a panel as their docstrings say, series by series and without an array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from ipp.core.predictive.panel import RECENCY_BOUNDS, TREND_BOUNDS, Panel


def divide(above: float, below: float) -> float:
    return above / below if below > 0 else 0.0


def find_class(value: float, bounds: tuple[float, ...]) -> int:
    return sum(value >= bound for bound in bounds)


@dataclass
class PlainSeries:
    """One series: its numbers alone, and then those that its neighbours give."""

    units: list[float]
    seen: list[bool]
    product: int
    group: int
    prior: float = 0.0
    prior_weight: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.seen)

    @property
    def mean(self) -> float:
        return sum(self.units) / max(self.count, 1)

    @property
    def variance(self) -> float:
        return sum(u * u for u in self.units) / max(self.count, 1) - self.mean**2

    @property
    def sales(self) -> int:
        return sum(u > 0 for u in self.units)

    def weigh(self, values: list[float] | list[bool], life: float | None) -> float:
        newest = len(values) - 1
        return sum(
            value * (0.5 ** ((newest - t) / life) if life else 1.0)
            for t, value in enumerate(values)
        )

    def own_level(self, life: float | None) -> float:
        return divide(self.weigh(self.units, life), self.weigh(self.seen, life))

    def calm_level(self, life: float) -> float:
        limit = self.mean + 3 * sqrt(max(self.variance, 0.0))
        return divide(
            self.weigh([min(u, limit) for u in self.units], life), self.weigh(self.seen, life)
        )

    def level(self, life: float | None) -> float:
        extra = self.prior_weight * (0.5 ** (self.count / life) if life else 1.0)
        return divide(
            self.weigh(self.units, life) + extra * self.prior, self.weigh(self.seen, life) + extra
        )

    @property
    def missed_sales(self) -> float:
        if not self.sales:
            return 0.0
        last = max(t for t, u in enumerate(self.units) if u > 0)
        return sum(self.seen[last + 1 :]) * self.sales / self.count

    @property
    def spread(self) -> float:
        shrinkage = 2 / max(self.sales, 1)
        beyond = max(self.variance - self.mean, 0.0)
        if not self.mean:
            return 0.0
        return (beyond / self.mean**2 + 0.5 * shrinkage) / (1 + shrinkage)

    @property
    def scale(self) -> float:
        steps = [b - a for a, b in zip(self.units, self.units[1:], strict=False)]
        return sqrt(sum(s * s for s in steps) / max(len(steps), 1))


class PlainPanel:
    """All series of a panel, over the recent memory ``recent`` (periods)."""

    def __init__(self, panel: Panel, horizon: int, lives: tuple[int, ...]) -> None:
        self.lives = lives
        self.recent = min(lives, key=lambda life: abs(life - horizon / 4))
        self.series = [
            PlainSeries(units, seen, product, group)
            for units, seen, product, group in zip(
                panel.units.tolist(), panel.seen.tolist(), panel.product.tolist(),
                panel.group.tolist(), strict=True,
            )
        ]  # fmt: skip
        for group in {one.group for one in self.series}:
            self.add_priors([one for one in self.series if one.group == group])
        self.long_run = [one.level(None) for one in self.series]
        self.lately = [one.level(self.recent) for one in self.series]

    def peer_levels(self, one: PlainSeries) -> list[float]:
        return [
            other.own_level(self.recent)
            for other in self.series
            if other is not one and other.product == one.product and other.count
        ]

    def add_priors(self, members: list[PlainSeries]) -> None:
        known = [one for one in members if one.count]
        level = {id(one): one.own_level(self.recent) for one in members}
        mean = divide(sum(level[id(one)] for one in known), len(known))
        peers = {id(one): self.peer_levels(one) for one in members}
        shared = [one for one in known if peers[id(one)]]
        elsewhere = {key: divide(sum(found), len(found)) for key, found in peers.items()}
        pace = divide(
            sum(level[id(one)] for one in shared), sum(elsewhere[id(one)] for one in shared)
        )
        for one in members:
            k = len(peers[id(one)])
            trusted = k / (k + 1) if pace else 0.0
            one.prior = trusted * elsewhere[id(one)] * pace + (1 - trusted) * mean
        errors = [(level[id(one)] - one.prior) ** 2 for one in known]
        for one in members:
            one.prior_weight = divide(mean, divide(sum(errors), len(known)))

    def trend(self, mine: PlainSeries, belongs: Callable[[PlainSeries], bool]) -> float:
        rows = [n for n, one in enumerate(self.series) if belongs(one)]
        shrinkage = 0.05 * sum(self.long_run) / len(self.series) + 1e-12
        now = sum(self.lately[n] for n in rows) + shrinkage
        return min(now / (sum(self.long_run[n] for n in rows) + shrinkage), 4.0)

    def levels(self, number: int) -> list[float]:
        mine, long_run = self.series[number], self.long_run[number]
        elsewhere = self.trend(mine, lambda o: o is not mine and o.product == mine.product)
        group = self.trend(mine, lambda one: one.group == mine.group)
        return [
            *(mine.level(life) for life in (*self.lives, None)),
            *(mine.calm_level(life) for life in self.lives),
            long_run * elsewhere,
            long_run * group,
        ]

    def recency(self, number: int) -> int:
        return find_class(self.series[number].missed_sales, RECENCY_BOUNDS)

    def trend_class(self, number: int) -> int:
        return find_class(divide(self.lately[number], self.long_run[number]), TREND_BOUNDS)
