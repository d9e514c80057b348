"""The numbers that the business may change, each with a name, a unit, a default and its bounds."""

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
"""Weight of the counter's own sales (Factor D) in such a product (% Premium)."""

REFERENCE_FACTOR: Final = 0.26
"""The rounding factor that separates Tipo de Cálculo 11 and 22 from 3 (Factor Redondeo)."""

DAYS_PER_MONTH: Final = 30
"""Days of the month in area_demand and counter_sales_value."""

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
"""Recorte: Factor 6 up to and including the first number is multiplied by the second. Above 42 the
brackets are inferred from the output of the system in production, which does not document them."""

BUMP_MAX_PRICE: Final = 1_000.0
"""Price, MXN, above which the joroba never raises a product from 1 to 2."""

PACK_TOLERANCE: Final = Fraction(1, 6)
"""Largest excess over whole inner packs, as a part of a pack, that does not open another one. 0 is
the plain next multiple; of the 20 products with inner packs on the real counter one (7 units, packs
of 6, kept at 6) needs this much (docs/decisions/0003)."""

MIN_CHANCE: Final = 0.001
"""Least chance of demand in a cover period for the budget to add a unit, or a pack by its first."""

VITAL_SERVICE: Final = 0.95
"""Service level that vital products reach before any other product gets a share of the budget."""

CURVE_POINTS: Final = 60
"""Largest number of investments on a counter's curve of fill rate."""

DEMAND_SIZE: Final = 3
"""Dispersion parameter r of the negative binomial around the traditional model's mean:
variance = m + m²/r. Fitted by maximum likelihood on 21-day sums of two real shops' 6,098 products
(2.5 to 4 on three periods; docs/decisions/0005)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Inclusive limits of a parameter, with its unit, label and description for people."""

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
"""Bounds of every field of `Parameters`, by name in code."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a run. ``None`` means each mostrador's own value, or the search's.

    Raises `InvalidInputError` for a value out of bounds or a factor with more than two decimals.
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
        """Return the values by their labels."""
        return {
            PARAMETER_BOUNDS[item.name].label: getattr(self, item.name) for item in fields(self)
        }

    @classmethod
    def from_labels(cls, values: Mapping[str, float | None]) -> Parameters:
        """Build from values by label; a missing or None value keeps its default.

        Raises `InvalidInputError` for an unknown label.
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
    """Raise `InvalidInputError` where ``value`` is no number within ``bound``."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and bound.minimum <= float(value) <= bound.maximum:  # type: ignore[arg-type]  # a number
        return
    raise InvalidInputError(
        f"{bound.label} = {value:g} no es un valor posible."
        if is_number
        else f"{bound.label} = {value!r} no es un número.",
        hint=f"Debe ser un número de {bound.minimum:,.12g} a {bound.maximum:,.12g} ({bound.unit}).",
    )


def factor_percent(factor: float) -> int:
    """Return a rounding factor in whole hundredths, 1 to 99.

    Raises `InvalidInputError` outside 0.01 to 0.99 or with more than two decimals.
    """
    percent = round(factor * 100)
    if not (1 <= percent <= 99 and math.isclose(percent / 100, factor, abs_tol=1e-9)):
        raise InvalidInputError(
            f"{PARAMETER_BOUNDS['forced_factor'].label} = {factor:g} no es un valor posible.",
            hint="Debe ir de 0.01 a 0.99, con dos decimales.",
        )
    return percent
