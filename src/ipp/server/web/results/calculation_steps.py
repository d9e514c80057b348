"""How a product's quantity came about, rule by rule, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ipp.core.tables import PREDICTIVE_MODEL
from ipp.server.web import formatting

FormatValue = Callable[[Any], str]

_fine_decimal: Final = partial(formatting.decimal, digits=3)
"""As many decimals as the model keeps."""


@dataclass(frozen=True, slots=True)
class CalculationStep:
    """A line of the way to a quantity: its ``name``, what it came to, and whether its rule applied (None: no rule)."""

    name: str
    value: str
    applied: bool | None


_TRADITIONAL_STEPS: Final[Mapping[str, Sequence[tuple[str, FormatValue, str]]]] = {
    "area": (
        ("area_demand", formatting.decimal, ""),
        ("ratio", formatting.percent, ""),
        ("factor_6", _fine_decimal, ""),
        ("trim", _fine_decimal, ""),
        ("factor_9", _fine_decimal, ""),
        ("weighted_traditional", _fine_decimal, ""),
    ),
    "own": (
        ("sales_365d", formatting.decimal, ""),
        ("sales_90d", formatting.decimal, ""),
        ("factor_a", _fine_decimal, ""),
        ("factor_b", _fine_decimal, ""),
        ("factor_c", _fine_decimal, ""),
        ("factor_d", _fine_decimal, ""),
        ("factor_f", _fine_decimal, ""),
    ),
    "rules": (
        ("expected_demand", _fine_decimal, ""),
        ("rounding_factor", formatting.decimal, ""),
        ("rounded", formatting.whole, ""),
        ("rescued", formatting.whole, "rescue_applied"),
        ("rule_p", formatting.whole, "rule_p_applied"),
        ("rule_q", formatting.whole, "rule_q_applied"),
        ("packed", formatting.whole, "pack_applied"),
        ("bumped", formatting.whole, "bump_applied"),
        ("stocked_units", formatting.whole, ""),
    ),
    "budget": (("budget_change", formatting.change, ""), ("optimum", formatting.whole, "")),
}

_PREDICTIVE_STEPS: Final[Mapping[str, Sequence[tuple[str, FormatValue, str]]]] = {
    "forecast": (
        ("forecast_mean", _fine_decimal, ""),
        ("forecast_idle", formatting.percent, ""),
        ("silent_weeks", formatting.whole, ""),
        ("demand_p50", formatting.whole, ""),
        ("demand_p90", formatting.whole, ""),
        ("demand_p95", formatting.whole, ""),
    ),
    "limits": (
        ("least", formatting.whole, "vital"),
        ("most", formatting.whole, ""),
        ("inner_pack", formatting.whole, ""),
        ("shelf_life", formatting.whole, ""),
    ),
    "budget": (
        ("budget_change", formatting.change, ""),
        ("optimum", formatting.whole, ""),
        ("fill_rate", formatting.percent, ""),
        ("next_chance", formatting.percent, ""),
    ),
}


def calculation_steps(told: Mapping[str, Any]) -> Mapping[str, Sequence[CalculationStep]]:
    """The lines by part, in the order in which the quantity came about; those of which nothing is known are left out.

    ``told`` is what `ipp.server.web.results.result_source.product_rule_history` gives.
    """
    parts = _PREDICTIVE_STEPS if told["inventory_model"] == PREDICTIVE_MODEL else _TRADITIONAL_STEPS
    found = {
        part: [
            CalculationStep(name, show(told[name]), bool(told.get(flag)) if flag else None)
            for name, show, flag in lines
            if told.get(name) is not None
        ]
        for part, lines in parts.items()
    }
    return {part: lines for part, lines in found.items() if lines}
