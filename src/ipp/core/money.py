"""Money as integers: ten-thousandths of a peso, so that no sum depends on the order of its rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

UNITS_PER_PESO: Final = 10_000
"""Units of account in one peso."""


def to_units(pesos: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give back pesos as whole ten-thousandths; what is not a number counts as nothing."""
    return np.rint(np.nan_to_num(pesos, nan=0.0) * UNITS_PER_PESO).astype(np.int64)


def to_pesos(units: int | np.int64) -> float:
    """Give back a sum of ten-thousandths in pesos, rounded to the cent."""
    return round(int(units) / UNITS_PER_PESO, 2)
