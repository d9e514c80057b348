"""Options that several commands share: numbers as people write them, and the model's parameters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, make_dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter, Token

from ipp.core.parameters import PARAMETER_FIELDS, ParameterField, Parameters
from ipp.errors import InvalidInputError
from ipp.formats.written_number import read_number


def parse_number(_type: Any, tokens: Sequence[Token]) -> float:
    """Return the number of an option. Raises `WrittenNumberError`."""
    return read_number(tokens[0].value)


def number_option(help_: str, name: str | None = None) -> Parameter:
    """Return an option that takes a number; without a ``name`` it has its argument's."""
    return Parameter(name=name, help=help_, converter=parse_number, show_default=_default_text)


def _default_text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


AsJson = Annotated[
    bool, Parameter(name="--json", negative="", help="Escribe el resultado como JSON.")
]


def describe_parameter(declared: ParameterField) -> str:
    """Return the help of an option for a parameter, with its bounds."""
    unit = "" if declared.unit == "fracción" else f" {declared.unit}"
    return f"{declared.describe()} De {declared.minimum:,.15g} a {declared.maximum:,.15g}{unit}."


_ModelOptions: Final = make_dataclass(
    "_ModelOptions",
    [
        (
            declared.name,
            Annotated[
                float | None,
                number_option(describe_parameter(declared), name=declared.option),
            ],
            field(default=declared.default),
        )
        for declared in PARAMETER_FIELDS.values()
    ],
    frozen=True,
    namespace={"__module__": __name__},
)
ModelOptions = Annotated[_ModelOptions | None, Parameter(name="*")]  # type: ignore[valid-type]  # built at run time
"""An option for each field of `Parameters`; None where none of them was given."""


def read_model_options(given: Any) -> Parameters:
    """Return the parameters of a command's `ModelOptions`; an error names the option."""
    options = {name: declared.option for name, declared in PARAMETER_FIELDS.items()}
    return build_parameters(options, **({} if given is None else asdict(given)))


def build_parameters(options: Mapping[str, str], **values: float | None) -> Parameters:
    """Return the parameters in ``values``, by field; an error names the option in ``options``."""
    try:
        return Parameters.from_labels(
            {PARAMETER_FIELDS[name].label: value for name, value in values.items()}
        )
    except InvalidInputError as error:
        message = error.message
        for name, option in options.items():
            message = message.replace(f"{PARAMETER_FIELDS[name].label} =", f"{option}")
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
