"""The factor step on one counter: all factors to final columns, beside each factor on its own.

    python bench/factor_step.py [WORKBOOK.parquet]

The system in production takes 157 ms for its step and 1,259 ms for its search of 8 factors on a
machine of two cores (figures given with the model, not measured here).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.traditional.factor import apply_factor_step
from ipp.core.traditional.rounding import (
    FACTOR_PERCENTS,
    RoundingProducts,
    apply_rules,
    base_quantity,
    investment_by_factor,
    prepare_products,
)
from ipp.formats.workbook import read_workbook
from ipp.storage.files.scratch import Scratch
from measure import print_figure, time_function
from workbook import given_or_made

PRODUCTION = 1_259.0 + 157.0
"""Milliseconds."""


def one_factor_plainly(frame: pl.DataFrame, factor: float) -> float:
    """Return the investment at one factor with base, rounding and rescue only: a naive version."""
    names = ("factor_9", "factor_d", "factor_f", "weighted_traditional", "price")
    nine, own, premium, traditional, price = (frame[n].fill_null(0).to_numpy() for n in names)
    base = base_quantity(nine, own, premium, traditional)
    value = np.floor(base) + (np.floor((base % 1 + 1e-10) * 100) / 100 >= factor)
    for rescue in (nine, own):
        value = np.where(value == 0, np.floor(rescue) + (rescue % 1 >= factor), value)
    return float((value * price).sum())


def every_factor_for_itself(prepared: RoundingProducts) -> list[int]:
    """What `investment_by_factor` gives, by the rules at one factor after the other."""
    price = np.where(prepared.stocked, prepared.price, 0)
    return [
        int(apply_rules(prepared, FACTOR_PERCENTS[k : k + 1]).bumped[0] @ price)
        for k in range(len(FACTOR_PERCENTS))
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = given_or_made(Path(folder))
        frame = read_workbook(path, Scratch(Path(folder)), with_sales_value=True).products
    target = float(frame["counter_sales_value"][0]) / 30 * 27.25
    prepared = prepare_products(frame, Parameters())
    print(f"{path.name}: {len(frame):,} products")
    if investment_by_factor(prepared).tolist() != every_factor_for_itself(prepared):
        raise SystemExit("the curve is not what every factor evaluated for itself gives")
    plain = 1e3 * time_function(lambda: one_factor_plainly(frame, 0.11), 200)
    ready = 1e3 * time_function(lambda: prepare_products(frame, Parameters()), 100)
    each = 1e3 * time_function(lambda: every_factor_for_itself(prepared), 25)
    together = 1e3 * time_function(lambda: investment_by_factor(prepared), 100)
    step = apply_factor_step(frame, Parameters(), target)
    known = Parameters(forced_factor=step.factor)
    slow = 1e3 * time_function(
        lambda: (every_factor_for_itself(prepared), apply_factor_step(frame, known, target)), 25
    )
    whole = 1e3 * time_function(lambda: apply_factor_step(frame, Parameters(), target), 100)
    against = {"target": 8.0, "each factor for itself": slow, "in production, given": PRODUCTION}
    print_figure(
        f"all 99 factors, best one, final columns, {len(frame):,} products", whole, "ms", against
    )
    print_figure(
        "  the products made ready, once for all factors", ready, "ms", {"the whole step": whole}
    )
    print_figure("  investment at all 99 factors", together, "ms", {"each for itself": each})
    print_figure(
        "  investment at all 99 factors, each for itself",
        each,
        "ms",
        {"99 times one plainly": 99 * plain},
    )
    given = {"given with the target": 0.4}
    print_figure("  one factor, plainly, without P, Q, packs, joroba", plain, "ms", given, digits=2)
    print(f"factor {step.factor}, investment {step.investment:,.2f} of {target:,.2f} MXN")


if __name__ == "__main__":
    main()
