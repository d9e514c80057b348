"""Money as integers, in ten-thousandths of a peso: sums do not depend on the order of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

UNITS_PER_PESO: Final = 10_000
"""Units of account in one peso."""

UNITS_PER_CENT: Final = UNITS_PER_PESO // 100
"""Units of account in one cent."""


def to_units(pesos: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return ``pesos`` as whole ten-thousandths of a peso; NaN counts as 0."""
    return np.rint(np.nan_to_num(pesos, nan=0.0) * UNITS_PER_PESO).astype(np.int64)


def to_pesos(units: int | np.int64) -> float:
    """Return a sum of ten-thousandths in pesos, to the cent, half a cent to the even one.

    Counted in integers: 10,050 units are 100 cents and a half, which as a float is no half.
    """
    cents, rest = divmod(int(units), UNITS_PER_CENT)
    half = UNITS_PER_CENT // 2
    cents += rest > half or (rest == half and cents % 2 == 1)
    return cents / 100


def add_pesos(amounts: Iterable[float]) -> float:
    """Return the sum of amounts in pesos, to the cent, whatever their order."""
    return to_pesos(sum(round(amount * UNITS_PER_PESO) for amount in amounts))
