"""Steps of the calculation of a product's quantity, rule by rule, as a person reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ipp.core.tables import PREDICTIVE_MODEL
from ipp.server.web import formatting

FormatValue = Callable[[Any], str]

_fine_decimal: Final = partial(formatting.decimal, digits=3)
"""Format a number with as many decimals as the model keeps."""


@dataclass(frozen=True, slots=True)
class CalculationStep:
    """One step: its ``name``, its result, and whether its rule applied (None: it has no rule)."""

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
        ("minimum_units", formatting.whole, "vital"),
        ("maximum_units", formatting.whole, ""),
        ("inner_pack", formatting.whole, ""),
        ("shelf_life", formatting.whole, ""),
    ),
    "budget": (
        ("budget_change", formatting.change, ""),
        ("optimum", formatting.whole, ""),
        ("fill_rate", formatting.percent, ""),
        ("next_chance", formatting.percent, ""),
        ("rule", str, ""),
    ),
}


def calculation_steps(history: Mapping[str, Any]) -> Mapping[str, Sequence[CalculationStep]]:
    """Return the steps by part, in order of calculation, without those whose result is unknown.

    ``history`` is what `ipp.jobs.stage_files.read_rule_history` returns.
    """
    predictive = history["inventory_model"] == PREDICTIVE_MODEL
    parts = _PREDICTIVE_STEPS if predictive else _TRADITIONAL_STEPS
    steps = {
        part: [
            CalculationStep(
                name, show(history[name]), bool(history[flag]) if flag in history else None
            )
            for name, show, flag in lines
            if history.get(name) is not None
        ]
        for part, lines in parts.items()
    }
    return {part: lines for part, lines in steps.items() if lines}
