"""Quantities as functions of the rounding factor: what all 99 factors give, from the few where anything changes."""

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
    """Where the treads of n products end: ``ends``, treads × products of percents 0 … 99, rising along the treads.

    Nothing about a product changes from above one of its ends up to and including the next; the last one is 99.
    A tread that ends where the one before it does is empty.
    """

    ends: Ints

    @classmethod
    def refine(cls, *lasts: Ints) -> StepFunction:
        """The staircase of what changes only after the percents ``lasts``, each of shape n."""
        ends = np.clip(np.stack([*lasts, np.full_like(lasts[0], MAX_PERCENT)]), 0, MAX_PERCENT)
        return cls(np.sort(ends, axis=0))

    def sum_by_percent(self, quantity: Ints) -> Ints:
        """Sum over the products of ``quantity`` (treads × products) at each percent 1 … 99, shape 99."""
        changes = np.zeros(MAX_PERCENT + 1, dtype=np.int64)
        np.add.at(changes, self.ends[:-1], np.diff(quantity, axis=0))
        totals: Ints = quantity[0].sum() + np.cumsum(changes)[:MAX_PERCENT]
        return totals

    def sum_first_by_percent(self, worth: Ints, flag: Flags, order: Ints, places: Ints) -> Ints:
        """Sum of ``worth`` over the first ``places`` products of ``order`` where ``flag`` holds, at each percent.

        ``worth`` has shape n, ``flag`` treads × products, ``order`` the products that compete, best first,
        ``places`` and what is given back shape 99.
        """
        order = order[
            np.logical_or.reduce(flag, axis=0)[order]
        ]  # the others would only be walked past
        standing, turning = self._toggle_percents(flag, order)
        worth = worth[order]
        totals = np.zeros(MAX_PERCENT, dtype=np.int64)
        for index, count in enumerate(places.tolist()):
            standing ^= turning[index]
            totals[index] = worth[np.flatnonzero(standing)[:count]].sum()
        return totals

    def _toggle_percents(self, flag: Flags, order: Ints) -> tuple[Flags, Flags]:
        """``flag`` on the first tread, and after which percents 0 … 99 it turns; the products of ``order``."""
        flag = flag[:, order]
        turning = np.zeros((MAX_PERCENT + 1, len(order)), dtype=np.bool_)
        for end, here, above in zip(self.ends[:-1, order], flag[:-1], flag[1:], strict=True):
            turned = np.flatnonzero(here != above)
            turning[end[turned], turned] ^= (
                True  # around an empty tread it turns twice, so not at all
            )
        return flag[0], turning
