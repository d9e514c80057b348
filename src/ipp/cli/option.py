"""Options that several commands share: numbers as people write them, and the model's parameters."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

from ipp.core.parameters import BOUNDS, Parameters
from ipp.errors import InvalidInputError

_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d{1,2}")


def read_number(_type: Any, tokens: Sequence[Token]) -> float:
    """Read 60000, 60,000.50 or 0,11.

    Raises ValueError for anything else.
    """
    text = tokens[0].value.strip()
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return float(text)


def number(help_: str) -> Parameter:
    """An option that takes a number."""
    return Parameter(help=help_, converter=read_number, show_default=_shown)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,g}"


AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Escribe el resultado como JSON.")]


def parameter(name: str) -> Parameter:
    """An option for a field of `Parameters`, with its bounds."""
    bound = BOUNDS[name]
    unit = "" if bound.unit == "fracción" else f" {bound.unit}"
    return number(f"{bound.about} De {bound.minimum:,.15g} a {bound.maximum:,.15g}{unit}.")


def chosen(options: Mapping[str, str], **values: float | None) -> Parameters:
    """The parameters by their name in code; an error names the option that was typed, from ``options``."""
    try:
        return Parameters(**{name: value for name, value in values.items() if value is not None})
    except InvalidInputError as error:
        message = error.message
        for name, option in options.items():
            message = message.replace(f"{BOUNDS[name].label} =", f"{option}")
        raise InvalidInputError(message, hint=error.hint) from None


def day(option: str, text: str | None) -> dt.date | None:
    """The day that ``option`` gives as aaaa-mm-dd, None where it was not given.

    Raises `InvalidInputError` for what is no date.
    """
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"{option} {text} no es una fecha.", hint="Escríbala aaaa-mm-dd.") from None
