"""The numbers that the business may change, each with a name, a unit, a default and its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Annotated, Any, Final, get_type_hints

from ipp.core.tables import PREDICTIVE_MODEL, TRADITIONAL_MODEL
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

LARGE_DAY_MIN_UNITS: Final = 50.0
"""Units of a product in a day below which no day is told: a person may have bought them."""

LARGE_DAY_USUAL_DAYS: Final = 100.0
"""Usual days of its year that a product's day must exceed for a run to tell it."""

LARGE_DAY_RECORD_TIMES: Final = 10.0
"""Times the largest other day of its year that a product's day must exceed for an import to tell
it."""

DEMAND_SIZE: Final = 3
"""Dispersion parameter r of the negative binomial around the traditional model's mean:
variance = m + m²/r. Fitted by maximum likelihood on 21-day sums of two real shops' 6,098 products
(2.5 to 4 on three periods; docs/decisions/0005)."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text for people, in Spanish and in English."""

    es: str
    en: str


_MODEL_NOTES: Final[Mapping[str, Phrase]] = {
    TRADITIONAL_MODEL: Phrase(
        "Sólo en el modelo tradicional (SPP).", "Traditional model (SPP) only."
    ),
    PREDICTIVE_MODEL: Phrase("Sólo en el modelo predictivo (IPP).", "Predictive model (IPP) only."),
}
"""The note on a parameter that only one of the models uses."""


@dataclass(frozen=True, slots=True)
class ParameterField:
    """Declaration of a parameter: options, HTTP body, form, documents and tests derive from it.

    ``minimum`` and ``maximum`` are inclusive, in ``unit``; ``decimals`` is the most decimals that a
    value may have, None for any number. ``models`` are the inventory models that use it. ``name``
    and ``default`` are those of the field of `Parameters` that the declaration annotates.
    """

    label: str
    title: Phrase
    description: Phrase
    unit: str
    minimum: float
    maximum: float
    models: tuple[str, ...] = (TRADITIONAL_MODEL, PREDICTIVE_MODEL)
    decimals: int | None = None
    name: str = ""
    default: float | None = None

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.label.replace("_", "-")

    def describe(self, language: str = "es") -> str:
        """Return the description in ``language``, with the only model that uses the parameter."""
        texts = [self.description]
        if len(self.models) == 1:
            texts.append(_MODEL_NOTES[self.models[0]])
        return " ".join(getattr(text, language) for text in texts)

    def check_value(self, value: object) -> None:
        """Raise `InvalidInputError` if ``value`` is not a number, or not one that is accepted."""
        message = f"{self.label} = {value!r} no es un número."
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self._accepts(float(value)):
                return
            message = f"{self.label} = {value:,.15g} no es un valor posible."
        precision = "" if self.decimals is None else f", con {self.decimals} decimales a lo más"
        raise InvalidInputError(
            message,
            hint=f"Debe ser un número de {self.minimum:,.15g} a {self.maximum:,.15g} ({self.unit})"
            f"{precision}.",
        )

    def _accepts(self, value: float) -> bool:
        if not self.minimum <= value <= self.maximum:
            return False
        return self.decimals is None or math.isclose(
            round(value, self.decimals), value, abs_tol=1e-9
        )


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a run. ``None`` means each mostrador's own value, or the search's.

    ``unknown`` holds what a document of another release has besides: it is stored again unchanged
    and takes part in no computation. Raises `InvalidInputError` for a value that its declaration
    does not accept.
    """

    investment_days: Annotated[
        float,
        ParameterField(
            "dias_inversion_deseados",
            Phrase("Días de inversión deseados", "Days of investment"),
            Phrase(
                "Días de venta que la inversión debe cubrir.",
                "Days of sales that the investment must cover.",
            ),
            unit="días",
            minimum=1,
            maximum=365,
        ),
    ] = 27.25
    cover_days: Annotated[
        float,
        ParameterField(
            "dias_inventario",
            Phrase("Días de inventario", "Days of stock"),
            Phrase(
                "Días de demanda que el inventario debe cubrir.",
                "Days of demand that the stock must cover.",
            ),
            unit="días",
            minimum=1,
            maximum=180,
        ),
    ] = 21.0
    bump_share: Annotated[
        float,
        ParameterField(
            "joroba",
            Phrase("Joroba", "Bump"),
            Phrase(
                "Parte de los productos que se eleva de 1 a 2 piezas.",
                "Part of the products that is raised from 1 to 2 units.",
            ),
            unit="fracción",
            minimum=0,
            maximum=1,
            models=(TRADITIONAL_MODEL,),
        ),
    ] = 0.035
    max_price: Annotated[
        float,
        ParameterField(
            "precio_maximo",
            Phrase("Precio máximo", "Highest price"),
            Phrase("Un producto más caro no se surte.", "A dearer product is not stocked."),
            unit="MXN",
            minimum=0.01,
            maximum=1e7,
        ),
    ] = 3_500.0
    forced_factor: Annotated[
        float | None,
        ParameterField(
            "factor_forzado",
            Phrase("Factor forzado", "Forced factor"),
            Phrase(
                "Factor de redondeo fijo, a dos decimales; si no se da, se busca el mejor.",
                "Fixed rounding factor, two decimals; if it is not given, the best is looked for.",
            ),
            unit="fracción",
            minimum=0.01,
            maximum=0.99,
            models=(TRADITIONAL_MODEL,),
            decimals=2,
        ),
    ] = None
    target_investment: Annotated[
        float | None,
        ParameterField(
            "monto_deseado",
            Phrase("Monto deseado", "Target investment"),
            Phrase(
                "Dinero en inventario que se busca para cada mostrador; si no se da, el de su "
                "configuración o, sin él, el que pide su venta.",
                "Money in stock that is sought for each counter; if it is not given, that of its "
                "configuration or, without one, what its sales ask for.",
            ),
            unit="MXN",
            minimum=0.01,
            maximum=1e12,
        ),
    ] = None
    minimum_service: Annotated[
        float | None,
        ParameterField(
            "servicio_minimo",
            Phrase("Servicio mínimo", "Minimum service"),
            Phrase(
                "Parte de la demanda esperada de cada producto que se sirve antes de repartir lo "
                "demás; si no se da, ninguna.",
                "Part of each product's expected demand that is served before the rest is spent; "
                "if it is not given, none.",
            ),
            unit="fracción",
            minimum=0,
            maximum=0.999,
            models=(PREDICTIVE_MODEL,),
        ),
    ] = None
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for declared in PARAMETER_FIELDS.values():
            value = getattr(self, declared.name)
            if value is not None or declared.default is not None:
                declared.check_value(value)

    def to_labels(self) -> dict[str, float | None]:
        """Return the value of every parameter by its label, None where it was not given."""
        return {
            declared.label: getattr(self, declared.name) for declared in PARAMETER_FIELDS.values()
        }

    def to_document(self) -> dict[str, Any]:
        """Return the stored form: values by label, without None, and what was `unknown`.

        A parameter that is left out is not stored, so that earlier releases can read the document.
        """
        given = {label: value for label, value in self.to_labels().items() if value is not None}
        return {**given, **self.unknown}

    @classmethod
    def from_labels(cls, values: Mapping[str, float | None]) -> Parameters:
        """Build from what a person gave by label; a missing or None value keeps its default.

        Raises `InvalidInputError` for an unknown label.
        """
        parameters = cls.from_document(values)
        if parameters.unknown:
            raise InvalidInputError(
                f"Parámetro desconocido: {', '.join(sorted(parameters.unknown))}.",
                hint=f"Existen: {', '.join(sorted(parameters.to_labels()))}.",
            )
        return parameters

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Parameters:
        """Build from a stored document of this release or another one.

        A missing or null value keeps its default. Unknown labels are kept in `unknown`.
        """
        names = {declared.label: name for name, declared in PARAMETER_FIELDS.items()}
        given = {
            names[label]: value
            for label, value in document.items()
            if label in names and value is not None
        }
        unknown = {label: value for label, value in document.items() if label not in names}
        return cls(**given, unknown=unknown)


def _read_declarations() -> dict[str, ParameterField]:
    """Return the declaration of each field of `Parameters`, with its name and its default."""
    hints = get_type_hints(Parameters, include_extras=True)
    return {
        item.name: replace(declared, name=item.name, default=item.default)
        for item in fields(Parameters)
        for declared in getattr(hints[item.name], "__metadata__", ())
    }


PARAMETER_FIELDS: Final[Mapping[str, ParameterField]] = _read_declarations()
"""The declaration of every parameter, by its name in code, in the order in which people see them.

A parameter is added by its field in `Parameters`, and its use in the model.
"""
