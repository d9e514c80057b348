"""The factor step as a person would follow it with a pencil: one product at a time, one factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import polars as pl

from ipp.core.parameters import Parameters

MODEL = Parameters()
BARRED = {"11", "22", "2G", "R1", "RE", "RD", "RG", "R2", "R3"}


def trunc(value: float, decimals: int) -> float:
    return math.trunc((value + 1e-10) * 10.0**decimals) / 10.0**decimals


def rules(row: Mapping[str, float], factor: float) -> int:
    """Steps 1 to 6 of one product."""
    nine, own = row["factor_9"], row["factor_d"]
    premium, traditional = row["factor_f"], row["weighted_traditional"]
    base = nine if premium == 0 else own if traditional == 0 else premium + traditional
    value = math.floor(base) + (trunc(base - math.floor(base), 2) >= factor)
    for rescue in (nine, own):
        if value == 0:
            value = math.floor(rescue) + (rescue - math.floor(rescue) >= factor)
    if value == 0 and row["area_demand"] == 0:
        year = Fraction(math.floor(Fraction(row["sales_365d"]) * 1000 / 365), 1000)
        quarter = Fraction(math.floor(Fraction(row["sales_90d"]) * 2000 / 90), 1000)
        mean = Fraction(math.floor((year + quarter) * 1000 / 3), 1000) * 21
        value = math.floor(mean) + (mean - math.floor(mean) >= Fraction(round(factor * 100), 100))
    if value == 0 and row["sales_90d"] >= 2:
        value = 1
    pack = int(row["inner_pack"] or 1)
    if pack > 1 and value > 0:
        whole, excess = divmod(value, pack)
        value = max(whole + (Fraction(excess, pack) > Fraction(1, 6)), 1) * pack
    return value


def factor_step(frame: pl.DataFrame, factor: float, parameters: Parameters = MODEL) -> list[int]:
    """Return steps 1 to 7 of every product, by row; an empty cell is a zero, or in no group."""
    rows = [{name: cell or 0 for name, cell in row.items()} for row in frame.to_dicts()]
    counted = _counted(frame)
    values = [rules(row, factor) for row in rows]
    share = Fraction(str(parameters.bump_share))
    holding = sum(value >= 1 and counts for value, counts in zip(values, counted, strict=True))
    places = math.floor(share * holding + Fraction(1, 2))
    candidates = [
        i
        for i, (row, value, counts) in enumerate(zip(rows, values, counted, strict=True))
        if value == 1
        and counts
        and 0 < row["price"] <= 1000
        and str(row["category"]).strip().upper() not in BARRED
    ]
    candidates.sort(
        key=lambda i: (
            -round(rows[i]["area_demand"] * rows[i]["price"], 4),
            -rows[i]["price"],
            rows[i]["material"],
        )
    )
    for i in candidates[:places]:
        values[i] = 2
    return values


def investment(frame: pl.DataFrame, values: list[int], parameters: Parameters = MODEL) -> float:
    """Step 8: the money of what will be stocked."""
    prices: list[float | None] = frame["price"].to_list()
    return (
        sum(
            value * round(price * 10_000)
            for value, price, counts in zip(values, prices, _counted(frame), strict=True)
            if price and counts and price <= parameters.max_price
        )
        / 1e4
    )


def _counted(frame: pl.DataFrame) -> list[bool]:
    """Which products the configuration does not leave out."""
    cells = frame["included"].to_list() if "included" in frame.columns else [None] * len(frame)
    return [cell is not False for cell in cells]
