"""The factor step on one counter: every factor to final columns, beside one factor done plainly.

    python bench/factor_step.py [WORKBOOK.parquet]

The system in production takes 157 ms for its step and 1,259 ms for its search of 8 factors on a machine of two
cores (figures given with the model, not measured here).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.factor import factor_step
from ipp.core.parameters import Parameters
from ipp.core.rounding import base_demand, curve, products
from ipp.files.scratch import Scratch
from ipp.workbook import read_workbook
from measure import show, timed
from workbook import given_or_made


def one_factor_plainly(frame: pl.DataFrame, factor: float) -> float:
    """Investment at one factor, base, rounding and rescue only: what a first version in NumPy would do."""
    names = ("factor_9", "factor_d", "factor_f", "weighted_traditional", "price")
    nine, own, premium, traditional, price = (frame[n].fill_null(0).to_numpy() for n in names)
    base = base_demand(nine, own, premium, traditional)
    value = np.floor(base) + (np.floor((base % 1 + 1e-10) * 100) / 100 >= factor)
    for rescue in (nine, own):
        value = np.where(value == 0, np.floor(rescue) + (rescue % 1 >= factor), value)
    return float((value * price).sum())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = given_or_made(Path(folder))
        frame = read_workbook(path, Scratch(Path(folder)), with_sales_value=True).products
    target = float(frame["counter_sales_value"][0]) / 30 * 27.25
    print(f"{path.name}: {len(frame):,} products")
    plain = timed(lambda: one_factor_plainly(frame, 0.11), 200)
    show("one factor, plainly, without P, Q, packs, joroba", f"{plain * 1e3:.2f} ms", "anchor: 0.4 ms")
    prepared = products(frame, Parameters())
    seconds = timed(lambda: curve(prepared), 100)
    show("investment at all 99 factors", f"{seconds * 1e3:.1f} ms", f"{seconds / plain:.0f} × one plain factor")
    seconds = timed(lambda: factor_step(frame, Parameters(), target), 100)
    show(
        "all 99 factors, best one, final columns", f"{seconds * 1e3:.1f} ms", "target 60 ms; production 1,259 + 157 ms"
    )
    step = factor_step(frame, Parameters(), target)
    print(f"factor {step.factor}, investment {step.investment:,.2f} of {target:,.2f} MXN")


if __name__ == "__main__":
    main()
