"""Money as integers, in ten-thousandths of a peso: sums do not depend on the order of rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

UNITS_PER_PESO: Final = 10_000
"""Units of account in one peso."""


def to_units(pesos: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return ``pesos`` as whole ten-thousandths of a peso; NaN counts as 0."""
    return np.rint(np.nan_to_num(pesos, nan=0.0) * UNITS_PER_PESO).astype(np.int64)


def to_pesos(units: int | np.int64) -> float:
    """Return a sum of ten-thousandths in pesos, rounded to the cent."""
    return round(int(units) / UNITS_PER_PESO, 2)
