"""What a raw cell means, by the kind of its column.

Everything is an expression over text that is already trimmed. The usual spelling takes a cheap way; only the
cells that are left are tried against the others, so that large files cost little.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import polars as pl

from ipp.core.contract import Column, Kind

_FIRST_DAY: Final = dt.date(1900, 1, 1)
"""A year before it is a year written with two digits."""

_YES: Final = ("sí", "si", "s", "yes", "y", "true", "verdadero", "1", "1.0", "x")
_NO: Final = ("no", "n", "false", "falso", "0", "0.0")
_FLAGS: Final = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}

_MIDNIGHT: Final = r"(?:[T ]00:00(?::00(?:\.0+)?)?)?"
_ISO: Final = rf"^(\d{{4}}-\d{{2}}-\d{{2}}){_MIDNIGHT}$"
_DAY_FIRST: Final = rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_MIDNIGHT}$"

_MAX_ID: Final = 10**18 - 1
_ID: Final = r"^0*(\d{1,18})(?:\.0+)?$"
_PLAIN: Final = r"^\d+(?:\.\d+)?$"
_PLAIN_BESIDE_COMMA: Final = r"^\d+(?:\.(?:\d{1,2}|\d{4,}))?$"
_LONE_POINT: Final = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
"""Beside semicolons it may be thousands or thousandths."""
_LONE_COMMA: Final = r"^[+-]?[1-9]\d{0,2},\d{3}$"
"""Thousands, but beside semicolons a decimal."""
_SPELLINGS: Final = (
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+\.\d+$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:,\d{3}){2,}$", ","),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+$", "."),
    (r"^[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}$", "."),
    (r"^[+-]?(?:\d+|\d*[.,]\d+)$", ""),
)
"""A spelling of a number and the mark that groups its thousands; a comma that is left is the decimal one."""


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


def value_of(column: Column, text: pl.Expr, dtype: pl.DataType, *, comma: bool) -> pl.Expr:
    """Give what ``text`` means in ``column``; null where it is empty or means nothing.

    ``dtype`` is the type that the file itself stores, ``comma`` whether its texts use the decimal comma.
    """
    match column.kind:
        case Kind.ID:
            return _id(text)
        case Kind.NUMBER:
            return _number(text, dtype, comma=comma)
        case Kind.COUNT:
            number = _number(text, dtype, comma=comma)
            return pl.when((number == number.floor()) & (number.abs() < 2**53)).then(number).cast(pl.Int64)
        case Kind.DATE:
            return _date(text)
        case Kind.FLAG:
            lowered = text.str.normalize("NFC").str.to_lowercase()
            return lowered.replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)
        case Kind.TEXT:
            return _chosen(column, text) if column.choices else text


def misread(column: Column, text: pl.Expr, *, comma: bool) -> pl.Expr:
    """Say why a text that means nothing in ``column`` does not, and how to write it."""
    if column.choices:
        return pl.lit(f"no es una de las opciones: escriba {' o '.join(column.choices)}")
    match column.kind:
        case Kind.ID:
            return pl.lit("no es un identificador: escriba sólo cifras, como 7051602 (18 a lo más)")
        case Kind.DATE:
            return pl.lit("no es una fecha: escriba año-mes-día, como 2024-01-31, o día/mes/año, como 31/01/2024")
        case Kind.FLAG:
            return pl.lit("no es sí ni no: escriba sí o no")
        case kind:
            what = "un número entero" if kind is Kind.COUNT else "un número"
            example = "12" if kind is Kind.COUNT else "1234,50 o 1234.50" if comma else "1234.50"
            reason = pl.lit(f"no es {what}: escriba por ejemplo {example}")
            if not comma:
                return reason
            return pl.when(_unsigned_money(text).str.contains(_LONE_POINT)).then(
                pl.lit(
                    "puede leerse con millares o con decimales: escriba los millares sin punto, como 1234, "
                    "o los decimales con coma, como 1,234"
                )
            ).otherwise(reason)  # fmt: skip


def _id(text: pl.Expr) -> pl.Expr:
    usual = text.cast(pl.Int64, strict=False)
    usual = pl.when(usual.is_between(0, _MAX_ID) & ~text.str.starts_with("+")).then(usual)
    other = pl.when(usual.is_null()).then(text).str.extract(_ID).cast(pl.Int64)
    return usual.fill_null(other)


def _number(text: pl.Expr, dtype: pl.DataType, *, comma: bool) -> pl.Expr:
    if dtype.is_numeric():
        number = text.cast(pl.Float64, strict=False)
    else:
        plain = text.str.contains(_PLAIN_BESIDE_COMMA if comma else _PLAIN)
        rest = pl.when(~plain).then(text)
        number = pl.when(plain).then(text).fill_null(_canonical(rest, comma=comma)).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _canonical(text: pl.Expr, *, comma: bool) -> pl.Expr:
    """Rewrite any accepted spelling of a number with nothing but a decimal point; null for what is none."""
    text = _unsigned_money(text)
    if comma:
        text = pl.when(~text.str.contains(_LONE_POINT)).then(text)
    spellings = _SPELLINGS if comma else ((_LONE_COMMA, ","), *_SPELLINGS)
    ways = []
    for pattern, thousands in spellings:
        number = text.str.replace_all(thousands, "", literal=True) if thousands else text
        ways.append(pl.when(text.str.contains(pattern)).then(number.str.replace(",", ".", literal=True)))
    return pl.coalesce(ways)


def _unsigned_money(text: pl.Expr) -> pl.Expr:
    return text.str.replace(r"^\$\s*", "")


def _date(text: pl.Expr) -> pl.Expr:
    iso = (text.str.len_bytes() == 10) & (text.str.slice(4, 1) == "-")
    usual = pl.when(iso).then(text).str.to_date("%Y-%m-%d", strict=False)
    rest = pl.when(usual.is_null()).then(text)
    date = pl.coalesce(
        usual,
        rest.str.extract(_ISO).str.to_date("%Y-%m-%d", strict=False),
        rest.str.extract(_DAY_FIRST).str.to_date("%d/%m/%Y", strict=False),
    )
    return pl.when(date >= _FIRST_DAY).then(date)


def _chosen(column: Column, text: pl.Expr) -> pl.Expr:
    choices = {choice.lower(): choice for choice in column.choices}
    return text.str.to_lowercase().replace_strict(choices, default=None, return_dtype=pl.String)
