"""Joint demand of the next periods, as scenarios that are the same for every series and at every call.

The scenarios are points of a low-discrepancy sequence, not drawn: two runs never differ, and series are compared on
the same luck. A period's demand is its quantile at a point; periods move together as far as a level that is not
known for sure makes them, by a Gaussian copula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np

from ipp.core.decision.demand import Demand
from ipp.core.predictive.panel import Floats

SCENARIO_COUNT: Final = 128
"""Scenarios: four times as many change the cost of a replay by less than a part in two hundred."""

PERIOD_CORRELATION: Final = 0.2
"""Correlation of two periods' demand beyond what the forecast knows."""


def draw_scenarios(demand: Sequence[Demand]) -> Floats:
    """Units of each series in the periods whose ``demand`` is given: n × periods × `SCENARIO_COUNT`."""
    levels = _low_discrepancy_levels(len(demand))
    return np.stack(
        [one.quantiles(level) for one, level in zip(demand, levels, strict=True)], axis=1
    ).astype(np.float64)


@cache
def _low_discrepancy_levels(periods: int) -> Floats:
    """Levels in (0, 1), periods × `SCENARIO_COUNT`: Roberts' sequence (2018), with one dimension for the level they share."""
    normal = NormalDist()
    base = _positive_root(periods + 2)
    point = 0.5 + np.outer(np.arange(1, SCENARIO_COUNT + 1), base ** -np.arange(1.0, periods + 2))
    own = np.vectorize(normal.inv_cdf)(point % 1)
    mixed = (
        math.sqrt(PERIOD_CORRELATION) * own[:, :1] + math.sqrt(1 - PERIOD_CORRELATION) * own[:, 1:]
    )
    levels: Floats = np.vectorize(normal.cdf)(mixed).T
    return levels


def _positive_root(power: int) -> float:
    """The root above 1 of x^power = x + 1."""
    x = 2.0
    for _ in range(64):
        x = (1 + x) ** (1 / power)
    return x
