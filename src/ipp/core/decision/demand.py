"""Demand over the cover period as a distribution: how often the k-th unit is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CACHE_CELLS = 1 << 20
"""Cells of a table that are in memory at a time: they fit into a processor's cache."""

_MAX_TABLE_CELLS = 1 << 14
"""Longest column of a table of chances; a product that sells more is counted in lots that make it fit."""

_MIN_TABLE_CELLS = 16
"""Shortest column: products are put together by the length they need, each twice the one before."""

_MAX_DOUBLINGS = 40
"""How often a column that ends too early is made twice as long: then every number of units is on it."""

_ROW_CUMSUM_THRESHOLD = 128
"""Products of a table from which it is summed up line by line, all of them at once."""

_NEGLIGIBLE_E_FOLDS = 16.0
"""A chance of e to minus this, a ten-millionth, is none."""

_POISSON_DISPERSION = 1e6
"""Size from which a negative binomial is as good as a Poisson."""


@dataclass(frozen=True, slots=True)
class _SurvivalTable:
    """Chances of the products ``index``: column i has P(demand >= j × lot[i]) for j = 0, 1, …"""

    index: Ints
    lot: Ints
    survival: Floats

    def survival_at(self, columns: Ints, units: Ints) -> Floats:
        """P(demand >= units) of ``columns``; beyond the last chance as that."""
        chance: Floats = self.survival[
            np.minimum(-(-units // self.lot[columns]), len(self.survival) - 1), columns
        ]
        return chance


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand of n products: with chance ``idle`` nothing at all, else negative binomial.

    ``mean`` is of the whole, in units; ``size`` is the negative binomial's r, so that around the mean m of what is
    not idle the variance is m + m²/r. A product of mean 0 is never asked for. Shapes are n.
    """

    mean: Floats
    dispersion: Floats
    zero_inflation: Floats

    @classmethod
    def negative_binomial(cls, mean: Floats, size: float) -> Demand:
        """Negative binomial demand with one ``size`` for all."""
        return cls(mean, np.full(len(mean), float(size)), np.zeros(len(mean)))

    def select(self, index: npt.NDArray[np.intp] | Ints) -> Demand:
        """The demand of some of the products, in that order, repeated where an index is."""
        return Demand(self.mean[index], self.dispersion[index], self.zero_inflation[index])

    def scale_mean(self, by: float | Floats) -> Demand:
        """The same with a mean ``by`` times as large: another length of time, a season."""
        return Demand(self.mean * by, self.dispersion, self.zero_inflation)

    def survival(self, units: Ints) -> Floats:
        """P(demand >= units), shape n; 1 where ``units`` is 0, never rising with ``units``."""
        found = np.zeros(len(self.mean))
        held = np.flatnonzero(units <= self._practical_maximum())
        for table in self.select(held)._survival_tables(units[held]):
            at = held[table.index]
            found[at] = table.survival_at(np.arange(len(at)), np.maximum(units[at], 0))
        return found

    def survival_table(self, most: Ints) -> Floats:
        """P(demand >= k) for k = 1 … ``most`` of each product, one product after the other."""
        first = np.cumsum(most) - most
        found = np.zeros(int(most.sum()))
        some = np.minimum(most, self._practical_maximum())
        for table in self._survival_tables(some):
            wanted = some[table.index]
            columns = np.repeat(np.arange(len(wanted)), wanted)
            unit = np.arange(len(columns)) - np.repeat(np.cumsum(wanted) - wanted, wanted) + 1
            found[first[table.index][columns] + unit - 1] = table.survival_at(columns, unit)
        return found

    def expected_sales(self, units: Ints) -> Floats:
        """E[min(demand, units)]: units expected to be sold when ``units`` are held, shape n.

        The sum of P(demand >= k) over k = 1 … units.
        """
        return self.sales_curve(units[:, None])[:, 0]

    def sales_curve(self, units: Ints) -> Floats:
        """`expected_sales` of several numbers of ``units`` of each product, shape n × points."""
        found = np.zeros(units.shape)
        some = np.clip(units, 0, self._practical_maximum()[:, None])
        for table in self._survival_tables(some.max(axis=1)):
            columns, lot, held = (
                np.arange(len(table.index))[:, None],
                table.lot[:, None],
                some[table.index],
            )
            whole = np.minimum(held // lot, len(table.survival) - 1)
            rest = (held - whole * lot) * table.survival_at(columns, held)
            sold = (
                _cumulative_sums(table.survival)[whole, columns] - 1
            )  # the first of them is not a unit
            found[table.index] = sold * lot + rest
        return found

    @property
    def deviation(self) -> Floats:
        """The standard deviation, in units, shape n."""
        active = self.mean / (1 - self.zero_inflation)
        deviation: Floats = np.sqrt(
            (1 - self.zero_inflation) * (active + active**2 / self.dispersion + active**2)
            - self.mean**2
        )
        return deviation

    def quantile(self, level: float) -> Ints:
        """The least units that demand does not exceed with chance ``level`` (from 0, below 1), shape n."""
        return self.quantiles([level])[:, 0]

    def quantiles(self, levels: Sequence[float] | Floats) -> Ints:
        """`quantile` for each of ``levels``, shape n × levels."""
        found = np.zeros((len(self.mean), len(levels)), dtype=np.int64)
        asked = np.flatnonzero(self.mean > 0)
        # Unit by unit as far as tables reach, and in lots only what lies beyond: a wide demand has small quantiles too.
        # Most quantiles lie in the lower half of what is rarely exceeded; the others are looked for again.
        by_unit = _MAX_TABLE_CELLS - 2
        top = np.minimum(self._likely_maximum() // 2, by_unit)
        for _ in range(_MAX_DOUBLINGS):
            if not len(asked):
                return found
            short = []
            for table in self.select(asked)._survival_tables(top[asked]):
                rows, lots = asked[table.index], table.survival
                for column, level in enumerate(levels):
                    found[rows, column] = (lots[1:] > 1 - level).sum(axis=0) * table.lot
                short.append(rows[lots[-1] > 1 - max(levels)])
            asked = np.concatenate(short)
            top[asked] = np.where(
                top[asked] < by_unit, np.minimum(2 * top[asked], by_unit), 2 * top[asked]
            )
        raise ValueError("a quantile lies beyond every number of units")

    def _likely_maximum(self) -> Ints:
        """Units that are rarely exceeded."""
        active = self.mean / (1 - self.zero_inflation)
        top: Ints = (active + 8 * np.sqrt(active + active**2 / self.dispersion)).astype(
            np.int64
        ) + 8
        return top

    def _practical_maximum(self) -> Ints:
        """Units beyond which demand is as good as impossible: a tail falls by 1 + size / mean with every unit."""
        active = self.mean / (1 - self.zero_inflation)
        with np.errstate(divide="ignore", over="ignore"):
            rest = _NEGLIGIBLE_E_FOLDS / np.log1p(self.dispersion / active)
        return self._likely_maximum() + np.ceil(rest).astype(np.int64)

    def _survival_tables(self, most: Ints) -> Iterator[_SurvivalTable]:
        """Tables that hold each product's chances up to ``most`` units at least."""
        lot = -(-(most + 1) // (_MAX_TABLE_CELLS - 1))
        cells = np.maximum(-(-(most + 1) // lot) + 1, _MIN_TABLE_CELLS)
        length = 2 ** np.ceil(np.log2(cells)).astype(np.int64)
        for cut in np.unique(length).tolist():
            alike = np.flatnonzero(length == cut)
            for index in np.array_split(alike, -(-len(alike) * cut // _CACHE_CELLS)):
                yield _SurvivalTable(
                    index, lot[index], self._survival_column(index, lot[index], cut)
                )

    def _survival_column(self, index: Ints, lot: Ints, cells: int) -> Floats:
        """P(demand >= j × lot) for j = 0 … cells - 1, from the ratio of one chance to the one before."""
        idle = self.zero_inflation[index]
        mean, size = _demand_in_lots(self.mean[index] / (1 - idle), self.dispersion[index], lot)
        j = np.arange(1.0, cells - 1)[:, None]
        reaches = np.ones((cells, len(index)))
        below = reaches[1:]
        below[0] = -size * np.log1p(mean / size)
        ratio = np.add(size, j, out=below[1:])
        ratio -= 1
        ratio /= size + mean
        ratio *= mean / j
        with np.errstate(divide="ignore"):
            np.log(ratio, out=ratio)
        _cumulative_sums(np.exp(_cumulative_sums(below), out=below))
        np.subtract(1, below, out=below)
        np.maximum(below, 0.0, out=below)
        below *= 1 - idle
        return reaches


def _cumulative_sums(table: Floats) -> Floats:
    """The running sums of each column of ``table``, which they take the place of."""
    if table.shape[1] < _ROW_CUMSUM_THRESHOLD:
        return np.cumsum(table, axis=0, out=table)
    for before, line in itertools.pairwise(table):
        np.add(line, before, out=line)
    return table


def _demand_in_lots(mean: Floats, size: Floats, lot: Ints) -> tuple[Floats, Floats]:
    """Mean and size of demand counted in lots, with the variance it has in units where lots can have as little."""
    if (lot == 1).all():
        return mean, size
    beyond = mean + mean**2 / size - mean * lot
    with np.errstate(divide="ignore", invalid="ignore"):
        coarse = np.where(
            beyond > 0, np.minimum(mean**2 / beyond, _POISSON_DISPERSION), _POISSON_DISPERSION
        )
    return mean / lot, np.where((lot == 1) | (mean == 0), size, coarse)
