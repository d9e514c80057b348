"""The decision on a counter's stock: quantities, their limits, and the rule that set each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core.decision.budget import UNLIMITED_UNITS, AllocationProblem, Flags
from ipp.core.decision.demand import Floats, Ints

RARE_CHANCE: Final = 0.005
"""Chance of selling one more unit below which that hardly ever happens: it rounds to 0%."""


class Rule(StrEnum):
    """The rule that kept a quantity from being smaller or larger, as people read it."""

    EXCLUDED = "excluido"
    """The product is not stocked at all."""
    VITAL = "vital"
    """It is what a vital product must have."""
    MINIMUM = "mínimo"
    """It is its minimum."""
    SERVICE = "servicio mínimo"
    """It is what the minimum fill rate of the run needs."""
    SHORT_OF_MONEY = "no alcanza"
    """The minimum fill rate needs more, and the money does not reach."""
    MAXIMUM = "máximo"
    """It is its maximum, or what can be sold before it expires."""
    RARE_DEMAND = "demanda"
    """One more unit would hardly ever be sold."""
    BUDGET = "presupuesto"
    """The money earns more in other products."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decided ``units`` of n products; all shapes are n.

    ``minimum`` and ``maximum`` are the limits of each, in units, `UNLIMITED_UNITS` for no limit.
    ``next_chance`` is the chance of selling one unit more than ``units``; ``rule`` has the values
    of `Rule`. Explanation, published rows and page read all of it from the columns of
    `ipp.core.tables.DECISION_COLUMNS`.
    """

    units: Ints
    minimum: Ints
    maximum: Ints
    next_chance: Floats
    rule: npt.NDArray[np.str_]

    def to_columns(self) -> list[pl.Series]:
        """Return the optimum, and its limits as `ipp.core.tables.DECISION_COLUMNS`."""
        maximum = pl.Series("maximum_units", self.maximum)
        return [
            pl.Series("rule_optimum", self.minimum),
            pl.Series("budget_change", self.units - self.minimum),
            pl.Series("optimum", self.units),
            pl.Series("minimum_units", self.minimum),
            maximum.set(maximum >= UNLIMITED_UNITS // 2, None),
            pl.Series("next_chance", self.next_chance),
            pl.Series("rule", self.rule.tolist(), dtype=pl.String),
        ]


def describe_decision(
    problem: AllocationProblem, units: Ints, vital: Flags, service: Ints
) -> Decision:
    """Return the decision ``units`` with the rule that set each quantity.

    ``units``, ``vital`` and ``service`` have shape n. ``service`` is what a minimum fill rate
    needs, at least the minimum of ``problem``; only of it may ``units`` be less.
    """
    next_chance = problem.demand.survival(units + 1)
    at_minimum = (units == service) & (service == problem.minimum) & (service > 0)
    conditions: dict[Rule, Flags] = {
        Rule.EXCLUDED: ~problem.eligible,
        Rule.SHORT_OF_MONEY: units < service,
        Rule.VITAL: at_minimum & vital,
        Rule.MINIMUM: at_minimum,
        Rule.MAXIMUM: units >= problem.maximum,
        Rule.SERVICE: (units == service) & (service > problem.minimum),
        Rule.RARE_DEMAND: next_chance < RARE_CHANCE,
    }
    rule = np.select(list(conditions.values()), list(conditions), default=Rule.BUDGET)
    return Decision(units, service, problem.maximum, next_chance, rule)
