"""What a raw cell means, by the kind of its column.

Everything is an expression over text that is already trimmed. The usual spelling takes a cheap way; only the
cells that are left are tried against the others, so that large files cost little.
"""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind

_EARLIEST_DATE: Final = dt.date(1900, 1, 1)
"""A year before it is a year written with two digits."""

_YES_WORDS: Final = ("sí", "si", "s", "yes", "y", "true", "verdadero", "1", "1.0", "x")
_NO_WORDS: Final = ("no", "n", "false", "falso", "0", "0.0")
_FLAG_VALUES: Final = {**dict.fromkeys(_YES_WORDS, True), **dict.fromkeys(_NO_WORDS, False)}

_TIME_PATTERN: Final = (
    r"(?:[T ](?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
"""A time of day, which is dropped: the day counts as it is written."""
_ISO_DATE_PATTERN: Final = rf"^(\d{{4}}-\d{{2}}-\d{{2}}){_TIME_PATTERN}$"
_YEAR_FIRST_PATTERN: Final = rf"^(\d{{4}}/\d{{1,2}}/\d{{1,2}}){_TIME_PATTERN}$"
_DAY_FIRST_PATTERN: Final = rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_TIME_PATTERN}$"
_EXCEL_SERIAL_PATTERN: Final = r"^[3-7]\d{4}(?:\.\d+)?$"
"""How Excel counts the days of this century, and of the last part of the one before."""

_MAX_ID: Final = 10**18 - 1
_ID_PATTERN: Final = r"^0*(\d{1,18})(?:\.0+)?$"
_PLAIN_NUMBER_PATTERN: Final = r"^\d+(?:\.\d+)?$"
_PLAIN_NUMBER_BESIDE_COMMA_PATTERN: Final = r"^\d+(?:\.(?:\d{1,2}|\d{4,}))?$"
_AMBIGUOUS_PATTERN: Final = r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$"
"""It may be thousands or thousandths."""
_AMBIGUOUS_POINT_PATTERN: Final = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_AMBIGUOUS_COMMA_PATTERN: Final = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_CURRENCY_PATTERN: Final = r"(?i)^(?:\$|MXN)?\s*(.*?)\s*(?:MXN)?$"
_NUMBER_SPELLINGS: Final = (
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3}){2,}$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+$", "."),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$", "."),
    (r"^[+-]?(?:\d+|\d*[.,]\d+)$", ""),
)
"""A spelling of a number and the mark that groups its thousands; a comma that is left is the decimal one."""


class DecimalMark(Enum):
    """What point and comma are in the numbers of a column, where a number alone does not tell."""

    POINT = "."
    """The point is the decimal one and the comma groups thousands."""
    COMMA = ","
    """The comma is the decimal one and the point groups thousands."""
    UNCLEAR = ""
    """Nobody knows."""


def is_ambiguous(text: pl.Expr) -> pl.Expr:
    """Whether a number may be read with thousands or with thousandths."""
    return text.str.contains(_with_currency(_AMBIGUOUS_PATTERN))


def proves_mark(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Whether a number can only be read with ``marks``."""
    decimal, group = (",", r"\.") if marks is DecimalMark.COMMA else (r"\.", ",")
    number = (
        rf"^[+-]?(?:\d*{decimal}(?:\d{{1,2}}|\d{{4,}})|(?:0\d*|\d{{4,}})?{decimal}\d+"
        rf"|[1-9]\d{{0,2}}(?:{group}\d{{3}})+{decimal}\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}}){{2,}})$"
    )
    return text.str.contains(_with_currency(number))


def _with_currency(number: str) -> str:
    """The pattern of a number that may have its currency before or after it."""
    return _CURRENCY_PATTERN.replace("(.*?)", number.removeprefix("^").removesuffix("$"))


def cell_text(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Give the cell as a person would write it, trimmed; null where it is empty.

    A whole number stored as a decimal one loses its ``.0``; a moment loses its time zone.
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
    marks: DecimalMark,
    stored: pl.Expr | None = None,
) -> pl.Expr:
    """Give what ``text`` means in ``column``; null where it is empty or means nothing.

    ``dtype`` is the type that the file itself stores, ``marks`` how numbers are written in the column, and
    ``stored`` where a text is of a number that the file stores: null where nobody knows.
    """
    match column.kind:
        case Kind.ID:
            return _parse_id(text)
        case Kind.NUMBER:
            return _parse_number(text, dtype, marks, stored)
        case Kind.COUNT:
            number = _parse_number(text, dtype, marks, stored)
            return (
                pl.when((number == number.floor()) & (number.abs() < 2**53))
                .then(number)
                .cast(pl.Int64)
            )
        case Kind.DATE:
            return _parse_date(text)
        case Kind.FLAG:
            lowered = text.str.normalize("NFC").str.to_lowercase()
            return lowered.replace_strict(_FLAG_VALUES, default=None, return_dtype=pl.Boolean)
        case Kind.TEXT:
            return _parse_choice(column, text) if column.choices else text


def misread_reason(column: Column, text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Say why a text that means nothing in ``column`` does not, and how to write it."""
    if column.choices:
        return pl.lit(f"no es una de las opciones: escriba {' o '.join(column.choices)}")
    match column.kind:
        case Kind.ID:
            return pl.lit("no es un identificador: escriba sólo cifras, como 7051602 (18 a lo más)")
        case Kind.DATE:
            how = "escriba año-mes-día, como 2024-01-31, o día/mes/año, como 31/01/2024"
            serial = pl.lit(f"parece el número con que Excel guarda una fecha: {how}")
            return (
                pl.when(text.str.contains(_EXCEL_SERIAL_PATTERN))
                .then(serial)
                .otherwise(pl.lit(f"no es una fecha: {how}"))
            )
        case Kind.FLAG:
            return pl.lit("no es sí ni no: escriba sí o no")
        case kind:
            what = "un número entero" if kind is Kind.COUNT else "un número"
            example = (
                "12"
                if kind is Kind.COUNT
                else "1234.50"
                if marks is DecimalMark.POINT
                else "1234,50 o 1234.50"
            )
            reason = pl.lit(f"no es {what}: escriba por ejemplo {example}")
            if marks is DecimalMark.POINT:
                return reason
            return pl.when(is_ambiguous(text)).then(_both_readings(text)).otherwise(reason)


def _both_readings(text: pl.Expr) -> pl.Expr:
    """Write both numbers out; the decimal one keeps its mark, which then tells how the others are written."""
    amount = _strip_currency(text)
    return pl.format(
        "puede leerse con millares o con decimales: escriba {} si son millares, {}0 si son decimales",
        amount.str.replace(r"[.,]", ""),
        amount,
    )


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
        else _number_from_spelling(text, marks)
    )
    if stored is not None:
        # Nobody knows whether 1.234 is a number that the file stores or a text: beside 12,5 it might be either.
        unsure = (
            number
            if marks is DecimalMark.POINT
            else _number_from_spelling(text, DecimalMark.UNCLEAR)
        )
        number = (
            pl.when(stored)
            .then(text.cast(pl.Float64, strict=False))
            .when(stored.is_null())
            .then(unsure)
            .otherwise(number)
        )
    return pl.when(number.is_finite()).then(number)


def _number_from_spelling(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    plain = text.str.contains(
        _PLAIN_NUMBER_PATTERN if marks is DecimalMark.POINT else _PLAIN_NUMBER_BESIDE_COMMA_PATTERN
    )
    rest = pl.when(~plain).then(text)
    return (
        pl.when(plain)
        .then(text)
        .fill_null(_canonical_number(rest, marks))
        .cast(pl.Float64, strict=False)
    )


def _canonical_number(text: pl.Expr, marks: DecimalMark) -> pl.Expr:
    """Rewrite any accepted spelling of a number with nothing but a decimal point; null for what is none."""
    text = _strip_currency(text)
    spellings: tuple[tuple[str, str], ...] = _NUMBER_SPELLINGS
    if marks is DecimalMark.POINT:
        spellings = ((_AMBIGUOUS_COMMA_PATTERN, ","), *spellings)
    elif marks is DecimalMark.COMMA:
        spellings = ((_AMBIGUOUS_POINT_PATTERN, "."), *spellings)
    else:
        text = pl.when(~text.str.contains(_AMBIGUOUS_PATTERN)).then(text)
    ways = []
    for pattern, thousands in spellings:
        number = text.str.replace_all(thousands, "", literal=True) if thousands else text
        ways.append(
            pl.when(text.str.contains(pattern)).then(number.str.replace(",", ".", literal=True))
        )
    return pl.coalesce(ways)


def _strip_currency(text: pl.Expr) -> pl.Expr:
    """Leave the currency out."""
    return text.str.replace(_CURRENCY_PATTERN, "$1")


def _parse_date(text: pl.Expr) -> pl.Expr:
    iso = (text.str.len_bytes() == 10) & (text.str.slice(4, 1) == "-")
    usual = pl.when(iso).then(text).str.to_date("%Y-%m-%d", strict=False)
    rest = pl.when(usual.is_null()).then(text)
    date = pl.coalesce(
        usual,
        rest.str.extract(_ISO_DATE_PATTERN).str.to_date("%Y-%m-%d", strict=False),
        rest.str.extract(_YEAR_FIRST_PATTERN).str.to_date("%Y/%m/%d", strict=False),
        rest.str.extract(_DAY_FIRST_PATTERN).str.to_date("%d/%m/%Y", strict=False),
    )
    return pl.when(date >= _EARLIEST_DATE).then(date)


def _parse_choice(column: Column, text: pl.Expr) -> pl.Expr:
    choices = {choice.lower(): choice for choice in column.choices}
    return text.str.to_lowercase().replace_strict(choices, default=None, return_dtype=pl.String)
