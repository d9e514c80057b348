"""Options that several commands share: numbers as people write them, and the model's parameters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

from ipp.core.parameters import PARAMETER_BOUNDS, Parameters
from ipp.errors import InvalidInputError
from ipp.formats.written_number import read_number


def parse_number(_type: Any, tokens: Sequence[Token]) -> float:
    """Return the number of an option. Raises `WrittenNumberError`."""
    return read_number(tokens[0].value)


def number_option(help_: str) -> Parameter:
    """Return an option that takes a number."""
    return Parameter(help=help_, converter=parse_number, show_default=_default_text)


def _default_text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


AsJson = Annotated[
    bool, Parameter(name="--json", negative="", help="Escribe el resultado como JSON.")
]


def model_option(name: str) -> Parameter:
    """Return an option for a field of `Parameters`, with its bounds."""
    bound = PARAMETER_BOUNDS[name]
    unit = "" if bound.unit == "fracción" else f" {bound.unit}"
    return number_option(
        f"{bound.description} De {bound.minimum:,.15g} a {bound.maximum:,.15g}{unit}."
    )


def build_parameters(options: Mapping[str, str], **values: float | None) -> Parameters:
    """Return the parameters in ``values``, by field; an error names the option in ``options``."""
    try:
        return Parameters(**{name: value for name, value in values.items() if value is not None})
    except InvalidInputError as error:
        message = error.message
        for name, option in options.items():
            message = message.replace(f"{PARAMETER_BOUNDS[name].label} =", f"{option}")
        raise InvalidInputError(message, hint=error.hint) from None


def parse_day(option: str, text: str | None) -> dt.date | None:
    """Return the day written as aaaa-mm-dd in ``text``, or None if ``option`` was not given.

    Raises `InvalidInputError` for anything that is not a date.
    """
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(
            f"{option} {text} no es una fecha.", hint="Escríbala aaaa-mm-dd."
        ) from None
