"""How a product's quantity came about, rule by rule, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ipp.core.tables import PREDICTIVE
from ipp.web import shown

Show = Callable[[Any], str]

_fine: Final = partial(shown.decimal, digits=3)
"""As many decimals as the model keeps."""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the way to a quantity: its ``name``, what it came to, and whether its rule applied (None: no rule)."""

    name: str
    value: str
    applied: bool | None


_TRADITIONAL: Final[Mapping[str, Sequence[tuple[str, Show, str]]]] = {
    "area": (
        ("area_demand", shown.decimal, ""),
        ("ratio", shown.percent, ""),
        ("factor_6", _fine, ""),
        ("trim", _fine, ""),
        ("factor_9", _fine, ""),
        ("weighted_traditional", _fine, ""),
    ),
    "own": (
        ("sales_365d", shown.decimal, ""),
        ("sales_90d", shown.decimal, ""),
        ("factor_a", _fine, ""),
        ("factor_b", _fine, ""),
        ("factor_c", _fine, ""),
        ("factor_d", _fine, ""),
        ("factor_f", _fine, ""),
    ),
    "rules": (
        ("expected_demand", _fine, ""),
        ("rounding_factor", shown.decimal, ""),
        ("rounded", shown.whole, ""),
        ("rescued", shown.whole, "rescue_applied"),
        ("rule_p", shown.whole, "rule_p_applied"),
        ("rule_q", shown.whole, "rule_q_applied"),
        ("packed", shown.whole, "pack_applied"),
        ("bumped", shown.whole, "bump_applied"),
        ("stocked_units", shown.whole, ""),
    ),
    "budget": (("budget_change", shown.change, ""), ("optimum", shown.whole, "")),
}

_PREDICTIVE: Final[Mapping[str, Sequence[tuple[str, Show, str]]]] = {
    "forecast": (
        ("forecast_mean", _fine, ""),
        ("forecast_idle", shown.percent, ""),
        ("silent_weeks", shown.whole, ""),
        ("demand_p50", shown.whole, ""),
        ("demand_p90", shown.whole, ""),
        ("demand_p95", shown.whole, ""),
    ),
    "limits": (
        ("least", shown.whole, "vital"),
        ("most", shown.whole, ""),
        ("inner_pack", shown.whole, ""),
        ("shelf_life", shown.whole, ""),
    ),
    "budget": (
        ("budget_change", shown.change, ""),
        ("optimum", shown.whole, ""),
        ("fill_rate", shown.percent, ""),
        ("next_chance", shown.percent, ""),
    ),
}


def steps(told: Mapping[str, Any]) -> Mapping[str, Sequence[Step]]:
    """The lines by part, in the order in which the quantity came about; those of which nothing is known are left out.

    ``told`` is what `ipp.web.results_source.history_of_rules` gives.
    """
    parts = _PREDICTIVE if told["inventory_model"] == PREDICTIVE else _TRADITIONAL
    found = {
        part: [
            Step(name, show(told[name]), bool(told.get(flag)) if flag else None)
            for name, show, flag in lines
            if told.get(name) is not None
        ]
        for part, lines in parts.items()
    }
    return {part: lines for part, lines in found.items() if lines}
