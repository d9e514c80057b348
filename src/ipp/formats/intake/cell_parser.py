"""Parse raw cells by the kind of their column.

Everything is an expression over text that is already trimmed. The usual spelling takes a cheap
path; only the remaining cells are tried against the other spellings, so large files cost little.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind
from ipp.formats.intake.date_notation import DateOrder, parse_written_date, read_both_orders
from ipp.formats.written_number import (
    AMBIGUOUS_PATTERN,
    AMBIGUOUS_REASON,
    MINUS_SIGN,
    NOT_NUMBER_REASON,
    NUMBER_PATTERNS,
    REDUNDANT_PATTERNS,
    TRAILING_MINUS_PATTERN,
    DecimalMark,
)

_EARLIEST_DATE: Final = dt.date(1900, 1, 1)
"""An earlier date has a year that was written with two digits."""

_YES_WORDS: Final = ("sí", "si", "s", "yes", "y", "true", "verdadero", "1", "1.0", "x")
_NO_WORDS: Final = ("no", "n", "false", "falso", "0", "0.0")
_FLAG_VALUES: Final = {**dict.fromkeys(_YES_WORDS, True), **dict.fromkeys(_NO_WORDS, False)}

_EXCEL_SERIAL_PATTERN: Final = r"^[3-7][0-9]{4}(?:\.[0-9]+)?$"
"""The serial numbers under which Excel stores dates from 1982 to 2119."""

_DATE_HINT: Final = "escriba año-mes-día, como 2024-01-31, o día/mes/año, como 31/01/2024"

_AMBIGUOUS_DATE_REASON: Final = (
    "puede ser {} (primero el día) o {} (primero el mes): escriba las fechas como año-mes-día"
)

_MAX_ID: Final = 10**18 - 1
_ID_PATTERN: Final = r"^0*([0-9]{1,18})(?:\.0+)?$"
_PLAIN_NUMBER_PATTERN: Final = r"^[0-9]+(?:\.[0-9]+)?$"
_CLEAR_NUMBER_PATTERN: Final = r"^[0-9]+(?:\.(?:[0-9]{1,2}|[0-9]{4,}))?$"
"""The usual spelling of a number: under the point, and under either decimal mark."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How a column writes its numbers and dates, where a cell by itself does not say it."""

    mark: DecimalMark = DecimalMark.POINT
    order: DateOrder = DateOrder.UNCLEAR


def is_ambiguous(text: pl.Expr) -> pl.Expr:
    """Return whether the mark of a number may group thousands or be the decimal mark."""
    return text.str.contains(AMBIGUOUS_PATTERN)


def proves_mark(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Return whether a number can only be read with ``marks``."""
    other = DecimalMark.POINT if marks is DecimalMark.COMMA else DecimalMark.COMMA
    return text.str.contains(NUMBER_PATTERNS[marks]) & ~text.str.contains(NUMBER_PATTERNS[other])


def cell_text(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the cell as a person would write it, trimmed; null where it is empty.

    A whole number stored as a float loses its ``.0``; a timestamp loses its time zone.
    """
    if dtype.is_float():
        whole = raw.is_finite() & (raw == raw.floor()) & (raw.abs() < 1e18)
        digits = raw.cast(pl.Int64, strict=False).cast(pl.String)
        raw = pl.when(whole).then(digits).otherwise(raw.cast(pl.String))
    elif isinstance(dtype, pl.Datetime):
        raw = raw.dt.replace_time_zone(None).cast(pl.String)
    text = raw.cast(pl.String).str.strip_chars()
    return pl.when(text.str.len_bytes() > 0).then(text)


def cell_value(
    column: Column,
    text: pl.Expr,
    dtype: pl.DataType,
    notation: Notation,
    stored: pl.Expr | None = None,
) -> pl.Expr:
    """Return the value of ``text`` in ``column``; null where it is empty or cannot be parsed.

    ``dtype`` is the type that the file itself stores and ``notation`` that of the column.
    ``stored`` is true where the file stores the cell as a number, false where it stores a text, and
    null where that is unknown.
    """
    match column.kind:
        case Kind.ID:
            return _parse_id(text)
        case Kind.NUMBER:
            return _parse_number(text, dtype, notation.mark, stored)
        case Kind.COUNT:
            return _whole_number(_parse_number(text, dtype, notation.mark, stored))
        case Kind.DATE:
            return _parse_date(text, notation.order)
        case Kind.FLAG:
            lowered = text.str.normalize("NFC").str.to_lowercase()
            return lowered.replace_strict(_FLAG_VALUES, default=None, return_dtype=pl.Boolean)
        case Kind.TEXT:
            return _parse_choice(column, text) if column.choices else text


def plain_value(column: Column, raw: pl.Expr, notation: Notation) -> pl.Expr:
    """Return the value of a text cell in its kind's usual spelling; null for any other.

    ``raw`` is not trimmed. A value is the one that `cell_value` returns, at a fraction of the cost.
    """
    match column.kind:
        case Kind.ID:
            digits = _plain_digits(raw)
            return pl.when(digits <= _MAX_ID).then(digits)
        case Kind.NUMBER:
            return _finite_number(_plain_number(raw, notation.mark))
        case Kind.COUNT:
            return _whole_number(_finite_number(_plain_number(raw, notation.mark)))
        case Kind.DATE:
            return _possible_date(_plain_date(raw))
        case _:
            return cell_value(column, cell_text(raw, pl.String()), pl.String(), notation)


def misread_reason(column: Column, text: pl.Expr, notation: Notation) -> pl.Expr:
    """Return why a text cannot be parsed as a value of ``column``, and how to write it."""
    if column.choices:
        return pl.lit(f"no es una de las opciones: escriba {' o '.join(column.choices)}")
    match column.kind:
        case Kind.ID:
            return pl.lit("no es un identificador: escriba sólo cifras, como 7051602 (18 a lo más)")
        case Kind.DATE:
            return _misread_date_reason(text)
        case Kind.FLAG:
            return pl.lit("no es sí ni no: escriba sí o no")
        case Kind.COUNT:
            reason = "no es un número entero: escriba por ejemplo 12"
        case _:
            reason = NOT_NUMBER_REASON
    if notation.mark is DecimalMark.POINT:
        return pl.lit(reason)
    return pl.when(is_ambiguous(text)).then(_both_readings(text)).otherwise(pl.lit(reason))


def _both_readings(text: pl.Expr) -> pl.Expr:
    """Return why an ambiguous number is refused, with its readings."""
    amount = _canonical_text(text, DecimalMark.UNCLEAR)
    whole = amount.str.replace("[.,]", "")
    decimal = amount.str.replace(",", ".", literal=True)
    return pl.format(AMBIGUOUS_REASON, whole, decimal, whole, amount + "0")


def _misread_date_reason(text: pl.Expr) -> pl.Expr:
    """Return why a text is no date: an ambiguous one is refused with its readings."""
    return text.map_batches(_explain_dates, return_dtype=pl.String(), is_elementwise=True)


def _explain_dates(texts: pl.Series) -> pl.Series:
    both = read_both_orders(texts).with_columns(text=texts)
    day, month = pl.col("by_day"), pl.col("by_month")
    return both.select(
        pl.when(pl.col("text").str.contains(_EXCEL_SERIAL_PATTERN))
        .then(pl.lit(f"parece el número con que Excel guarda una fecha: {_DATE_HINT}"))
        .when(day != month)
        .then(pl.format(_AMBIGUOUS_DATE_REASON, day.cast(pl.String), month.cast(pl.String)))
        .otherwise(pl.lit(f"no es una fecha: {_DATE_HINT}"))
    ).to_series()


def _parse_id(text: pl.Expr) -> pl.Expr:
    usual = text.cast(pl.Int64, strict=False)
    usual = pl.when(usual.is_between(0, _MAX_ID) & ~text.str.starts_with("+")).then(usual)
    other = pl.when(usual.is_null()).then(text).str.extract(_ID_PATTERN).cast(pl.Int64)
    return usual.fill_null(other)


def _parse_number(
    text: pl.Expr, dtype: pl.DataType, marks: DecimalMark, stored: pl.Expr | None
) -> pl.Expr:
    number = (
        text.cast(pl.Float64, strict=False)
        if dtype.is_numeric()
        else _number_from_text(text, marks)
    )
    if stored is not None:
        # Where it is unknown whether the file stores a number or a text, 1.234 in a column that has
        # 12,5 may be the stored number 1.234 or the text for 1234, so it must not be guessed.
        unsure = (
            number if marks is DecimalMark.POINT else _number_from_text(text, DecimalMark.UNCLEAR)
        )
        number = (
            pl.when(stored)
            .then(text.cast(pl.Float64, strict=False))
            .when(stored.is_null())
            .then(unsure)
            .otherwise(number)
        )
    return _finite_number(number)


def _finite_number(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)


def _whole_number(number: pl.Expr) -> pl.Expr:
    """Return a float as an Int64; null where it is not a whole number that a float can hold."""
    whole = (number == number.floor()) & (number.abs() < 2**53)
    return pl.when(whole).then(number).cast(pl.Int64)


def _number_from_text(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    usual = _plain_number(text, marks)
    rest = pl.when(usual.is_null()).then(text)
    return usual.fill_null(_rewrite_number(rest, marks).cast(pl.Float64, strict=False))


def _plain_number(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Return the number of a text with digits and at most a point that is clearly decimal."""
    usual = _PLAIN_NUMBER_PATTERN if marks is DecimalMark.POINT else _CLEAR_NUMBER_PATTERN
    whole = _plain_digits(text)
    rest = pl.when(whole.is_null()).then(text)
    decimal = pl.when(rest.str.contains(usual)).then(rest).cast(pl.Float64, strict=False)
    return whole.cast(pl.Float64).fill_null(decimal)


def _plain_digits(text: pl.Expr) -> pl.Expr:
    """Return the whole number of a text that is digits only and fits 64 bits; null for others."""
    # Signs and spaces, which the cast accepts in places, come before "0" in the order of texts.
    return pl.when(text >= "0").then(text.cast(pl.Int64, strict=False))


def _rewrite_number(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Rewrite a number with only a decimal point; null for a text that is not one or may be two.

    For example $1,234,567.5 and 1.234.567,5 MXN both become 1234567.5. A number that is clear by
    itself keeps its reading whatever the column's ``marks``.
    """
    if marks is DecimalMark.UNCLEAR:
        text = pl.when(~is_ambiguous(text)).then(text)
    # The column's own mark goes first: an ambiguous number is one under the other mark too.
    order = sorted(NUMBER_PATTERNS, key=lambda mark: mark is not marks)
    return pl.coalesce(
        pl.when(text.str.contains(NUMBER_PATTERNS[mark]))
        .then(_canonical_text(text, mark))
        .str.replace(",", ".", literal=True)
        for mark in order
    )


def _canonical_text(text: pl.Expr, mark: DecimalMark) -> pl.Expr:
    """Remove the currency and the marks of thousands of a number, and put its minus first."""
    hyphened = text.str.replace(MINUS_SIGN, "-", literal=True)
    needed = hyphened.str.replace_all(REDUNDANT_PATTERNS[mark], "")
    return needed.str.replace(TRAILING_MINUS_PATTERN, "-${1}")


def _parse_date(text: pl.Expr, order: DateOrder) -> pl.Expr:
    usual = _plain_date(text)
    rest = pl.when(usual.is_null()).then(text)
    return _possible_date(usual.fill_null(parse_written_date(rest, order)))


def _plain_date(text: pl.Expr) -> pl.Expr:
    # Polars also reads 2024-1-5, and signs and spaces, which come before "0" in the order of texts:
    # among ten characters that begin with a digit only a year before 1000 hides such a date.
    iso = (text.str.len_bytes() == 10) & (text >= "0")
    return pl.when(iso).then(text.str.to_date("%Y-%m-%d", strict=False))


def _possible_date(date: pl.Expr) -> pl.Expr:
    return pl.when(date >= _EARLIEST_DATE).then(date)


def _parse_choice(column: Column, text: pl.Expr) -> pl.Expr:
    choices = {choice.lower(): choice for choice in column.choices}
    return text.str.to_lowercase().replace_strict(choices, default=None, return_dtype=pl.String)
