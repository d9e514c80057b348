"""Joint demand of the next periods, as scenarios shared by every series and every call.

The scenarios are points of a low-discrepancy sequence, not random numbers: two runs never differ,
and all series are compared on the same points. A period's demand is its quantile at a point; a
Gaussian copula correlates the periods, because they share one uncertain level.
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
"""Scenarios; four times as many change the cost of a replay by less than 0.5%."""

PERIOD_CORRELATION: Final = 0.2
"""Correlation of two periods' demand that the forecast does not explain."""


def draw_scenarios(demand: Sequence[Demand]) -> Floats:
    """Return the units of each series and period of ``demand``: n × periods × `SCENARIO_COUNT`."""
    levels = _low_discrepancy_levels(len(demand))
    return np.stack(
        [period.quantiles(level) for period, level in zip(demand, levels, strict=True)], axis=1
    ).astype(np.float64)


@cache
def _low_discrepancy_levels(periods: int) -> Floats:
    """Return quantile levels in (0, 1), periods × `SCENARIO_COUNT`.

    They are Roberts' low-discrepancy sequence (2018), with a dimension for the shared level.
    """
    normal = NormalDist()
    base = _positive_root(periods + 2)
    # Point k is 0.5 + k × (1/g, 1/g², …) modulo 1, with g the root of the dimension. For one period
    # (two dimensions) g is 1.3247 and point 1 is (0.2549, 0.0698).
    point = 0.5 + np.outer(np.arange(1, SCENARIO_COUNT + 1), base ** -np.arange(1.0, periods + 2))
    own = np.vectorize(normal.inv_cdf)(point % 1)
    # Column 0 is shared by all periods and weighs √ρ, the period's own √(1 - ρ): the sum stays
    # standard normal and two periods correlate by ρ = `PERIOD_CORRELATION`.
    mixed = (
        math.sqrt(PERIOD_CORRELATION) * own[:, :1] + math.sqrt(1 - PERIOD_CORRELATION) * own[:, 1:]
    )
    levels: Floats = np.vectorize(normal.cdf)(mixed).T
    return levels


def _positive_root(power: int) -> float:
    """Return the root above 1 of x^power = x + 1, by fixed-point iteration."""
    x = 2.0
    for _ in range(64):
        x = (1 + x) ** (1 / power)
    return x
