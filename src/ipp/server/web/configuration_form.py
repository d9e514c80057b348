"""The values of a configuration's form, read from what was sent and merged with what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ipp.core.contract import Kind
from ipp.formats.written_number import WrittenNumberError
from ipp.server.api.configuration_routes import EDITABLE_COLUMNS
from ipp.server.web.number_field import parse_number_field


@dataclass(frozen=True, slots=True)
class ConfigurationForm:
    """A form: its mostrador, its field values by label, and what was stored when it was rendered.

    ``version`` is empty where nothing is stored. ``theirs`` are the fields that somebody else
    changed meanwhile, each with the value that was seen and the value stored now.
    """

    mostrador: str
    values: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    theirs: Sequence[tuple[str, Any, Any]] = ()


BLANK_VALUES: Final[Mapping[str, Any]] = {
    column.label: column.default for column in EDITABLE_COLUMNS
}
"""Field values of a new configuration."""


def read_form(form: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a form's value of each column, by label, as a body of the contract would have them.

    A switch that is not sent is off. Text that is not a number stays as typed, so that
    the check of the form refuses it.
    """
    values: dict[str, Any] = {}
    for column in EDITABLE_COLUMNS:
        text = form.get(prefix + column.label)
        if column.kind is Kind.FLAG:
            values[column.label] = text is not None
        elif column.kind is Kind.NUMBER:
            values[column.label] = _number_or_text(str(text or "").strip())
        else:
            values[column.label] = text
    return values


def _number_or_text(text: str) -> float | str | None:
    try:
        return parse_number_field(text)
    except WrittenNumberError:
        return text


def merge_form(sheet: ConfigurationForm, now: ConfigurationForm) -> ConfigurationForm:
    """Merge ``sheet`` with what is stored ``now`` (a three-way merge).

    Fields that its writer changed keep their value; the others take the stored one.
    """
    values = {
        label: now.values[label] if value == sheet.before[label] else value
        for label, value in sheet.values.items()
    }
    theirs = [
        (label, value, now.values[label])
        for label, value in sheet.before.items()
        if value != now.values[label]
    ]
    return ConfigurationForm(sheet.mostrador, values, now.before, now.version, theirs)
