"""Step functions of the rounding factor: sums at all 99 factors, computed from their jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MAX_PERCENT = 99
"""The highest percent; the lowest is 1."""


@dataclass(frozen=True, slots=True)
class StepFunction:
    """The treads of n products, by where they end.

    ``ends`` is treads × products, percents 0 … 99, ascending along the treads. Nothing about a
    product changes from above one of its ends up to and including the next; the last end is 99.
    A tread that ends where the one before it does is empty. A product that changes after percents
    26 and 40 has the ends 26, 40, 99.
    """

    ends: Ints

    @classmethod
    def refine(cls, *lasts: Ints) -> StepFunction:
        """Build the treads of products that change only after the percents ``lasts`` (shape n)."""
        ends = np.clip(np.stack([*lasts, np.full_like(lasts[0], MAX_PERCENT)]), 0, MAX_PERCENT)
        return cls(np.sort(ends, axis=0))

    def sum_by_percent(self, quantity: Ints) -> Ints:
        """Sum ``quantity`` (treads × products) over products at each percent 1 … 99, shape 99."""
        # Each product's jump is added once, at the percent after which it happens, and a running
        # sum spreads the jumps. One product with ends 26, 99 and quantities 5, 4 starts at 5 and
        # has changes[26] = -1: element 25 (percent 26) is still 5, element 26 (percent 27) is 4.
        changes = np.zeros(MAX_PERCENT + 1, dtype=np.int64)
        np.add.at(changes, self.ends[:-1], np.diff(quantity, axis=0))
        totals: Ints = quantity[0].sum() + np.cumsum(changes)[:MAX_PERCENT]
        return totals

    def sum_first_by_percent(self, worth: Ints, flag: Flags, order: Ints, places: Ints) -> Ints:
        """Sum ``worth`` over the first ``places`` flagged products of ``order``, at each percent.

        ``worth`` has shape n, ``flag`` treads × products, ``order`` the products that compete, best
        first; ``places`` and the result have shape 99.
        """
        # A product that is never flagged cannot take a place: leave it out of every pass.
        order = order[np.logical_or.reduce(flag, axis=0)[order]]
        standing, turning = self._toggle_percents(flag, order)
        worth = worth[order]
        totals = np.zeros(MAX_PERCENT, dtype=np.int64)
        # The places change with the percent, so the sum is no sum of jumps and every percent is
        # visited. Worths 9, 7, 5, flags yes, no, yes and two places: 9 + 5 = 14.
        for index, count in enumerate(places.tolist()):
            standing ^= turning[index]
            totals[index] = worth[np.flatnonzero(standing)[:count]].sum()
        return totals

    def _toggle_percents(self, flag: Flags, order: Ints) -> tuple[Flags, Flags]:
        """Return ``flag`` on the first tread, and the percents 0 … 99 after which it toggles.

        Both are of the products of ``order``: shape k, and 100 × k.
        """
        flag = flag[:, order]
        turning = np.zeros((MAX_PERCENT + 1, len(order)), dtype=np.bool_)
        for end, here, above in zip(self.ends[:-1, order], flag[:-1], flag[1:], strict=True):
            turned = np.flatnonzero(here != above)
            # XOR, because around an empty tread a flag toggles twice at one percent: not at all.
            turning[end[turned], turned] ^= True
        return flag[0], turning
