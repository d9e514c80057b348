"""Numbers in form fields: parsed by the grammar of written numbers, formatted to parse back."""

from __future__ import annotations

from ipp.formats.written_number import WrittenNumberError, read_number, write_number


def parse_number_field(text: str) -> float | None:
    """Return the number in a field, None if it is empty. Raises `WrittenNumberError`."""
    return read_number(text) if text.strip() else None


def refusal_reason(text: str) -> str:
    """Return why `parse_number_field` refuses a text; empty where it does not."""
    try:
        parse_number_field(text)
    except WrittenNumberError as error:
        return str(error)
    return ""


def format_number_field(value: float | str | None) -> str:
    """Format ``value`` so that `parse_number_field` returns it; a refused text stays as typed."""
    return write_number(value) if isinstance(value, (int, float)) else value or ""
