"""How a product's quantity came about, rule by rule, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ipp.core.tables import PREDICTIVE
from ipp.server.web import formatting

Show = Callable[[Any], str]

_fine: Final = partial(formatting.decimal, digits=3)
"""As many decimals as the model keeps."""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the way to a quantity: its ``name``, what it came to, and whether its rule applied (None: no rule)."""

    name: str
    value: str
    applied: bool | None


_TRADITIONAL: Final[Mapping[str, Sequence[tuple[str, Show, str]]]] = {
    "area": (
        ("area_demand", formatting.decimal, ""),
        ("ratio", formatting.percent, ""),
        ("factor_6", _fine, ""),
        ("trim", _fine, ""),
        ("factor_9", _fine, ""),
        ("weighted_traditional", _fine, ""),
    ),
    "own": (
        ("sales_365d", formatting.decimal, ""),
        ("sales_90d", formatting.decimal, ""),
        ("factor_a", _fine, ""),
        ("factor_b", _fine, ""),
        ("factor_c", _fine, ""),
        ("factor_d", _fine, ""),
        ("factor_f", _fine, ""),
    ),
    "rules": (
        ("expected_demand", _fine, ""),
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

_PREDICTIVE: Final[Mapping[str, Sequence[tuple[str, Show, str]]]] = {
    "forecast": (
        ("forecast_mean", _fine, ""),
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


def steps(told: Mapping[str, Any]) -> Mapping[str, Sequence[Step]]:
    """The lines by part, in the order in which the quantity came about; those of which nothing is known are left out.

    ``told`` is what `ipp.server.web.results.result_source.history_of_rules` gives.
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
