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

_FIRST_DAY: Final = dt.date(1900, 1, 1)
"""A year before it is a year written with two digits."""

_YES: Final = ("sí", "si", "s", "yes", "y", "true", "verdadero", "1", "1.0", "x")
_NO: Final = ("no", "n", "false", "falso", "0", "0.0")
_FLAGS: Final = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}

_HOUR: Final = r"(?:[T ](?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
"""A time of day, which is dropped: the day counts as it is written."""
_ISO: Final = rf"^(\d{{4}}-\d{{2}}-\d{{2}}){_HOUR}$"
_YEAR_FIRST: Final = rf"^(\d{{4}}/\d{{1,2}}/\d{{1,2}}){_HOUR}$"
_DAY_FIRST: Final = rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_HOUR}$"
_SERIAL: Final = r"^[3-7]\d{4}(?:\.\d+)?$"
"""How Excel counts the days of this century, and of the last part of the one before."""

_MAX_ID: Final = 10**18 - 1
_ID: Final = r"^0*(\d{1,18})(?:\.0+)?$"
_PLAIN: Final = r"^\d+(?:\.\d+)?$"
_PLAIN_BESIDE_COMMA: Final = r"^\d+(?:\.(?:\d{1,2}|\d{4,}))?$"
_LONE: Final = r"^[+-]?[1-9]\d{0,2}[.,]\d{3}$"
"""It may be thousands or thousandths."""
_LONE_POINT: Final = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_LONE_COMMA: Final = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_CURRENCY: Final = r"(?i)^(?:\$|MXN)?\s*(.*?)\s*(?:MXN)?$"
_SPELLINGS: Final = (
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3}){2,}$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+$", "."),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$", "."),
    (r"^[+-]?(?:\d+|\d*[.,]\d+)$", ""),
)
"""A spelling of a number and the mark that groups its thousands; a comma that is left is the decimal one."""


class Marks(Enum):
    """What point and comma are in the numbers of a column, where a number alone does not tell."""

    POINT = "."
    """The point is the decimal one and the comma groups thousands."""
    COMMA = ","
    """The comma is the decimal one and the point groups thousands."""
    UNCLEAR = ""
    """Nobody knows."""


def is_unclear(text: pl.Expr) -> pl.Expr:
    """Whether a number may be read with thousands or with thousandths."""
    return text.str.contains(_with_currency(_LONE))


def proves(text: pl.Expr, marks: Marks) -> pl.Expr:
    """Whether a number can only be read with ``marks``."""
    decimal, group = (",", r"\.") if marks is Marks.COMMA else (r"\.", ",")
    number = (
        rf"^[+-]?(?:\d*{decimal}(?:\d{{1,2}}|\d{{4,}})|(?:0\d*|\d{{4,}})?{decimal}\d+"
        rf"|[1-9]\d{{0,2}}(?:{group}\d{{3}})+{decimal}\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}}){{2,}})$"
    )
    return text.str.contains(_with_currency(number))


def _with_currency(number: str) -> str:
    """The pattern of a number that may have its currency before or after it."""
    return _CURRENCY.replace("(.*?)", number.removeprefix("^").removesuffix("$"))


def text_of(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
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


def value_of(column: Column, text: pl.Expr, dtype: pl.DataType, marks: Marks, stored: pl.Expr | None = None) -> pl.Expr:
    """Give what ``text`` means in ``column``; null where it is empty or means nothing.

    ``dtype`` is the type that the file itself stores, ``marks`` how numbers are written in the column, and
    ``stored`` where a text is of a number that the file stores: null where nobody knows.
    """
    match column.kind:
        case Kind.ID:
            return _id(text)
        case Kind.NUMBER:
            return _number(text, dtype, marks, stored)
        case Kind.COUNT:
            number = _number(text, dtype, marks, stored)
            return pl.when((number == number.floor()) & (number.abs() < 2**53)).then(number).cast(pl.Int64)
        case Kind.DATE:
            return _date(text)
        case Kind.FLAG:
            lowered = text.str.normalize("NFC").str.to_lowercase()
            return lowered.replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)
        case Kind.TEXT:
            return _chosen(column, text) if column.choices else text


def misread(column: Column, text: pl.Expr, marks: Marks) -> pl.Expr:
    """Say why a text that means nothing in ``column`` does not, and how to write it."""
    if column.choices:
        return pl.lit(f"no es una de las opciones: escriba {' o '.join(column.choices)}")
    match column.kind:
        case Kind.ID:
            return pl.lit("no es un identificador: escriba sólo cifras, como 7051602 (18 a lo más)")
        case Kind.DATE:
            how = "escriba año-mes-día, como 2024-01-31, o día/mes/año, como 31/01/2024"
            serial = pl.lit(f"parece el número con que Excel guarda una fecha: {how}")
            return pl.when(text.str.contains(_SERIAL)).then(serial).otherwise(pl.lit(f"no es una fecha: {how}"))
        case Kind.FLAG:
            return pl.lit("no es sí ni no: escriba sí o no")
        case kind:
            what = "un número entero" if kind is Kind.COUNT else "un número"
            example = "12" if kind is Kind.COUNT else "1234.50" if marks is Marks.POINT else "1234,50 o 1234.50"
            reason = pl.lit(f"no es {what}: escriba por ejemplo {example}")
            if marks is Marks.POINT:
                return reason
            return pl.when(is_unclear(text)).then(_both_ways(text)).otherwise(reason)


def _both_ways(text: pl.Expr) -> pl.Expr:
    """Write both numbers out; the decimal one keeps its mark, which then tells how the others are written."""
    amount = _amount(text)
    return pl.format(
        "puede leerse con millares o con decimales: escriba {} si son millares, {}0 si son decimales",
        amount.str.replace(r"[.,]", ""),
        amount,
    )


def _id(text: pl.Expr) -> pl.Expr:
    usual = text.cast(pl.Int64, strict=False)
    usual = pl.when(usual.is_between(0, _MAX_ID) & ~text.str.starts_with("+")).then(usual)
    other = pl.when(usual.is_null()).then(text).str.extract(_ID).cast(pl.Int64)
    return usual.fill_null(other)


def _number(text: pl.Expr, dtype: pl.DataType, marks: Marks, stored: pl.Expr | None) -> pl.Expr:
    number = text.cast(pl.Float64, strict=False) if dtype.is_numeric() else _spelled(text, marks)
    if stored is not None:
        # Nobody knows whether 1.234 is a number that the file stores or a text: beside 12,5 it might be either.
        unsure = number if marks is Marks.POINT else _spelled(text, Marks.UNCLEAR)
        number = (
            pl.when(stored)
            .then(text.cast(pl.Float64, strict=False))
            .when(stored.is_null())
            .then(unsure)
            .otherwise(number)
        )
    return pl.when(number.is_finite()).then(number)


def _spelled(text: pl.Expr, marks: Marks) -> pl.Expr:
    plain = text.str.contains(_PLAIN if marks is Marks.POINT else _PLAIN_BESIDE_COMMA)
    rest = pl.when(~plain).then(text)
    return pl.when(plain).then(text).fill_null(_canonical(rest, marks)).cast(pl.Float64, strict=False)


def _canonical(text: pl.Expr, marks: Marks) -> pl.Expr:
    """Rewrite any accepted spelling of a number with nothing but a decimal point; null for what is none."""
    text = _amount(text)
    spellings: tuple[tuple[str, str], ...] = _SPELLINGS
    if marks is Marks.POINT:
        spellings = ((_LONE_COMMA, ","), *spellings)
    elif marks is Marks.COMMA:
        spellings = ((_LONE_POINT, "."), *spellings)
    else:
        text = pl.when(~text.str.contains(_LONE)).then(text)
    ways = []
    for pattern, thousands in spellings:
        number = text.str.replace_all(thousands, "", literal=True) if thousands else text
        ways.append(pl.when(text.str.contains(pattern)).then(number.str.replace(",", ".", literal=True)))
    return pl.coalesce(ways)


def _amount(text: pl.Expr) -> pl.Expr:
    """Leave the currency out."""
    return text.str.replace(_CURRENCY, "$1")


def _date(text: pl.Expr) -> pl.Expr:
    iso = (text.str.len_bytes() == 10) & (text.str.slice(4, 1) == "-")
    usual = pl.when(iso).then(text).str.to_date("%Y-%m-%d", strict=False)
    rest = pl.when(usual.is_null()).then(text)
    date = pl.coalesce(
        usual,
        rest.str.extract(_ISO).str.to_date("%Y-%m-%d", strict=False),
        rest.str.extract(_YEAR_FIRST).str.to_date("%Y/%m/%d", strict=False),
        rest.str.extract(_DAY_FIRST).str.to_date("%d/%m/%Y", strict=False),
    )
    return pl.when(date >= _FIRST_DAY).then(date)


def _chosen(column: Column, text: pl.Expr) -> pl.Expr:
    choices = {choice.lower(): choice for choice in column.choices}
    return text.str.to_lowercase().replace_strict(choices, default=None, return_dtype=pl.String)
