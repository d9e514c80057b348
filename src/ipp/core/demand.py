"""Demand over the cover period as a distribution: how often the k-th unit is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ipp.core.parameters import DEMAND_SIZE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Demand:
    """Negative binomial demand of n products with mean ``mean`` (units) and whole size ``size``.

    With a whole size every tail is a binomial one with ``size`` terms: demand reaches k exactly when the first
    k + size - 1 trials hold fewer than ``size`` successes. No special function and no series is needed.
    """

    mean: Floats
    size: int = DEMAND_SIZE

    def take(self, index: npt.NDArray[np.intp] | Ints) -> Demand:
        """The demand of some of the products, in that order, repeated where an index is."""
        return Demand(self.mean[index], self.size)

    def reaches(self, units: Ints) -> Floats:
        """P(demand >= units), shape n; 1 where ``units`` is 0, never rising with ``units``."""
        return self._tail(units, self.size)

    def expected_sales(self, units: Ints) -> Floats:
        """E[min(demand, units)]: units expected to be sold when ``units`` are held, shape n.

        From E[D; D < q] = mean × P(D' < q - 1), D' of one size more with the same success probability.
        """
        below = self.mean * (1 - self._tail(np.maximum(units - 1, 0), self.size + 1))
        return np.where(units > 0, below + units * self.reaches(units), 0.0)

    def _tail(self, units: Ints, size: int) -> Floats:
        success = self.size / (self.size + self.mean)
        failure = self.mean / (self.size + self.mean)
        trials = np.maximum(units, 1) + (size - 1)
        total = np.zeros(np.broadcast(units, self.mean).shape)
        ways = np.ones_like(total)
        for hits in range(size):
            total += ways * success**hits * failure ** (trials - hits)
            ways = ways * (trials - hits) / (hits + 1)
        return np.where(units <= 0, 1.0, np.minimum(total, 1.0))
