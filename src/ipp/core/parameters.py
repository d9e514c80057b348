"""The numbers the business may change: each with a name, a unit, a default and its bounds, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Final

from ipp.errors import InvalidInputError

SHARE_TRADITIONAL: Final = 0.5
"""Weight of the area's demand (Factor 9) in a product with sales of its own (%Tradicional)."""

SHARE_PREMIUM: Final = 0.5
"""Weight of the counter's own sales (Factor D) in the same (% Premium)."""

REFERENCE_FACTOR: Final = 0.26
"""The rounding factor at which Tipo de Cálculo tells 11 and 22 from 3 (Factor Redondeo)."""

DAYS_PER_MONTH: Final = 30
"""The month of area_demand and counter_sales_value, days."""

TRIM_BRACKETS: Final[tuple[tuple[float, float], ...]] = (
    (12, 1.0),
    (18, 0.975),
    (24, 0.95),
    (30, 0.925),
    (36, 0.9),
    (42, 0.875),
    (60, 0.85),
    (90, 0.825),
    (150, 0.8),
    (math.inf, 0.775),
)
"""Recorte: Factor 6 up to and including the first number is damped by the second. Above 42 the brackets are
inferred from what the system in production wrote, not documented by it."""

BUMP_MAX_PRICE: Final = 1_000.0
"""Above this price, MXN, a product is never raised from 1 to 2 by the joroba."""

PACK_TOLERANCE: Final = Fraction(1, 6)
"""The excess over whole inner packs, as a part of a pack, that does not open another one. 0 is the plain next
multiple; of the 20 products with inner packs on the real counter one (7 units, packs of 6, kept at 6) needs
this much (docs/decisions/0003)."""

MIN_CHANCE: Final = 0.001
"""The budget adds no unit, and no pack whose first unit, is asked for less often than this in a cover period."""

VITAL_SERVICE: Final = 0.95
"""Chance of being enough that a vital product is held for before any other is looked at."""

CURVE_POINTS: Final = 60
"""Investments at which a counter's curve of service is shown, at most."""

DEMAND_SIZE: Final = 3
"""Size r of the negative binomial around the traditional model's mean: variance = m + m²/r. Fitted by maximum
likelihood on 21-day sums of two real shops' 6,098 products (2.5 to 4 on three periods; docs/decisions/0005)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a parameter may be: inclusive limits, its unit, and what it means, for people."""

    label: str
    minimum: float
    maximum: float
    unit: str
    description: str


PARAMETER_BOUNDS: Final[Mapping[str, Bound]] = {
    "investment_days": Bound(
        "dias_inversion_deseados", 1, 365, "días", "Días de venta que la inversión debe cubrir."
    ),
    "cover_days": Bound(
        "dias_inventario", 1, 180, "días", "Días de demanda que el inventario debe cubrir."
    ),
    "bump_share": Bound(
        "joroba", 0, 1, "fracción", "Parte de los productos que se eleva de 1 a 2 piezas."
    ),
    "max_price": Bound("precio_maximo", 0.01, 1e7, "MXN", "Un producto más caro no se surte."),
    "forced_factor": Bound(
        "factor_forzado",
        0.01,
        0.99,
        "fracción",
        "Factor de redondeo fijo, a dos decimales; no se busca otro.",
    ),
    "target_investment": Bound(
        "monto_deseado", 0.01, 1e12, "MXN", "Dinero que se quiere tener en inventario."
    ),
}
"""Bounds of every field of `Parameters`, by its name in code."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a run may set. ``None`` means: each mostrador's own, or found by the search.

    Raises `InvalidInputError` for a value outside its bounds or a factor with more than two decimals.
    """

    investment_days: float = 27.25
    cover_days: float = 21.0
    bump_share: float = 0.035
    max_price: float = 3_500.0
    forced_factor: float | None = None
    target_investment: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.default is None:
                continue
            _check_bound(PARAMETER_BOUNDS[item.name], value)
        if self.forced_factor is not None:
            factor_percent(self.forced_factor)

    def to_labels(self) -> dict[str, float | None]:
        """The parameters by the names people know."""
        return {
            PARAMETER_BOUNDS[item.name].label: getattr(self, item.name) for item in fields(self)
        }

    @classmethod
    def from_labels(cls, values: Mapping[str, float | None]) -> Parameters:
        """Build from the names people know; what is not named or None keeps its default.

        Raises `InvalidInputError` for a name that is no parameter.
        """
        names = {bound.label: name for name, bound in PARAMETER_BOUNDS.items()}
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise InvalidInputError(
                f"Parámetro desconocido: {', '.join(unknown)}.",
                hint=f"Existen: {', '.join(sorted(names))}.",
            )
        return cls(**{names[label]: value for label, value in values.items() if value is not None})


def _check_bound(bound: Bound, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and bound.minimum <= float(value) <= bound.maximum:  # type: ignore[arg-type]  # checked just before
        return
    raise InvalidInputError(
        f"{bound.label} = {value:g} no es un valor posible."
        if number
        else f"{bound.label} = {value!r} no es un número.",
        hint=f"Debe ser un número de {bound.minimum:,.12g} a {bound.maximum:,.12g} ({bound.unit}).",
    )


def factor_percent(factor: float) -> int:
    """Give back a rounding factor in whole hundredths, 1 to 99.

    Raises `InvalidInputError` outside 0.01 to 0.99 or with more than two decimals.
    """
    percent = round(factor * 100)
    if not (1 <= percent <= 99 and math.isclose(percent / 100, factor, abs_tol=1e-9)):
        raise InvalidInputError(
            f"{PARAMETER_BOUNDS['forced_factor'].label} = {factor:g} no es un valor posible.",
            hint="Debe ir de 0.01 a 0.99, con dos decimales.",
        )
    return percent
