"""Demand over the cover period as a distribution: zero-inflated negative binomial."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CACHE_CELLS = 1 << 20
"""Maximum number of cells of a table, so that it fits into the processor cache."""

_MAX_TABLE_CELLS = 1 << 14
"""Maximum length of a column of a table; a product that sells more is counted in larger lots."""

_MIN_TABLE_CELLS = 16
"""Minimum length of a column; products share a table by the next power of two they need."""

_MAX_DOUBLINGS = 40
"""Maximum number of doublings of a column that is too short for a quantile."""

_ROW_CUMSUM_THRESHOLD = 128
"""Number of products from which a table is summed row by row, all products at once."""

_FEW_LIMITS = 16
"""Number of limits up to which counting what exceeds them is faster than searching for them."""

_NEGLIGIBLE_E_FOLDS = 16.0
"""A probability below e^-16, about a ten-millionth, counts as 0."""

_SALES_TOLERANCE_UNITS = 1e-12
"""Expected sales are known to about this: a product that sells less needs no unit."""

_POISSON_DISPERSION = 1e6
"""Dispersion r from which a negative binomial is practically a Poisson distribution."""


@dataclass(frozen=True, slots=True)
class _SurvivalTable:
    """Survival function of the products ``index``: P(demand >= j × lot[i]) in row j, column i."""

    index: Ints
    lot: Ints
    survival: Floats

    def survival_at(self, columns: Ints, units: Ints) -> Floats:
        """Return P(demand >= units) of ``columns``, beyond the table its last value."""
        chance: Floats = self.survival[
            np.minimum(-(-units // self.lot[columns]), len(self.survival) - 1), columns
        ]
        return chance


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand of n products as zero-inflated negative binomial distributions.

    ``mean`` is the overall mean, in units; ``dispersion`` is the negative binomial's r, so that its
    variance is m + m²/r around its own mean m; ``zero_inflation`` is the probability of no demand
    at all beyond that distribution. A product of mean 0 is never sold. Shapes are n.
    """

    mean: Floats
    dispersion: Floats
    zero_inflation: Floats

    @classmethod
    def negative_binomial(cls, mean: Floats, size: float) -> Demand:
        """Return negative binomial demand with the dispersion ``size`` for all products."""
        return cls(mean, np.full(len(mean), float(size)), np.zeros(len(mean)))

    def select(self, index: npt.NDArray[np.intp] | Ints) -> Demand:
        """Return the demand of the products ``index``, in that order, with repetitions."""
        return Demand(self.mean[index], self.dispersion[index], self.zero_inflation[index])

    def __getitem__(self, rows: slice) -> Demand:
        """Return the demand of the products ``rows``, without copying."""
        return Demand(self.mean[rows], self.dispersion[rows], self.zero_inflation[rows])

    def scale_mean(self, by: float | Floats) -> Demand:
        """Return the demand with its mean multiplied by ``by``, for another period or season."""
        return Demand(self.mean * by, self.dispersion, self.zero_inflation)

    def survival(self, units: Ints) -> Floats:
        """Return P(demand >= units), shape n: 1 where ``units`` is 0, never increasing with it."""
        probability = np.zeros(len(self.mean))
        held = np.flatnonzero(units <= self._practical_maximum())
        for table in self.select(held)._survival_tables(units[held]):
            at = held[table.index]
            probability[at] = table.survival_at(np.arange(len(at)), np.maximum(units[at], 0))
        return probability

    def survival_table(self, most: Ints) -> Floats:
        """Return P(demand >= k) for k = 1 … ``most`` of each product, concatenated by product."""
        wanted = np.flatnonzero(most > 0)
        first = (np.cumsum(most) - most)[wanted]
        probabilities = np.zeros(int(most.sum()))
        demand = self.select(wanted)
        capped = np.minimum(most[wanted], demand._practical_maximum())
        for table in demand._survival_tables(capped):
            counts = capped[table.index]
            columns = np.repeat(np.arange(len(counts)), counts)
            # The unit numbers of each product, counted from 1: 2 and 3 units give 1, 2, 1, 2, 3.
            unit = np.arange(len(columns)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
            probabilities[first[table.index][columns] + unit - 1] = table.survival_at(columns, unit)
        return probabilities

    def expected_sales(self, units: Ints) -> Floats:
        """Return the expected sales E[min(demand, units)] when ``units`` are held, shape n.

        It is the sum of P(demand >= k) over k = 1 … units.
        """
        return self.sales_curve(units[:, None])[:, 0]

    def sales_curve(self, units: Ints) -> Floats:
        """Return `expected_sales` at several ``units`` of each product, shape n × points."""
        expected = np.zeros(units.shape)
        held_any = np.flatnonzero(units.max(axis=1) > 0)
        demand = self.select(held_any)
        capped = np.clip(units[held_any], 0, demand._practical_maximum()[:, None])
        for table in demand._survival_tables(capped.max(axis=1)):
            columns = np.arange(len(table.index))[:, None]
            lot = table.lot[:, None]
            held = capped[table.index]
            # Whole lots come from the running sums, and each unit of the next lot counts as the end
            # of that lot: 7 units in lots of 3 are 2 lots and 1 unit at P(demand >= 9).
            whole = np.minimum(held // lot, len(table.survival) - 1)
            rest = (held - whole * lot) * table.survival_at(columns, held)
            # The sum starts with P(demand >= 0) = 1, which is not a unit.
            sold = _cumulative_sums(table.survival)[whole, columns] - 1
            expected[held_any[table.index]] = sold * lot + rest
        return expected

    @property
    def deviation(self) -> Floats:
        """Standard deviation, in units, shape n."""
        active = self.mean / (1 - self.zero_inflation)
        deviation: Floats = np.sqrt(
            (1 - self.zero_inflation) * (active + active**2 / self.dispersion + active**2)
            - self.mean**2
        )
        return deviation

    def quantile(self, level: float) -> Ints:
        """Return the fewest units that are enough with probability ``level`` in [0, 1), shape n."""
        return self.quantiles([level])[:, 0]

    def quantiles(self, levels: Sequence[float] | Floats) -> Ints:
        """Return the `quantile` at each of ``levels``, shape n × levels.

        Raises `ValueError` if a quantile is beyond every number of units that is tried.
        """
        risks = 1 - np.asarray(levels, dtype=np.float64)
        result = np.zeros((len(self.mean), len(risks)), dtype=np.int64)
        pending = np.flatnonzero(self.mean > 0)
        result[pending] = -1
        # Tables count single units as far as they reach, and lots only beyond, because a wide
        # demand has small quantiles too. Most quantiles lie in the lower half of the likely range;
        # products with one beyond it are tried again with twice the range.
        by_unit = _MAX_TABLE_CELLS - 2
        top = np.minimum(self._likely_maximum() // 2, by_unit)
        for _ in range(_MAX_DOUBLINGS):
            if not len(pending):
                return result
            short = []
            for table in self.select(pending)._survival_tables(top[pending]):
                rows, lots = pending[table.index], table.survival
                reached = lots[-1][:, None] <= risks
                units = np.where(reached, _count_above(lots[1:], risks) * table.lot[:, None], -1)
                # What a table of single units answered is not asked again of one of lots.
                result[rows] = np.where(result[rows] >= 0, result[rows], units)
                short.append(rows[~reached.all(axis=1)])
            pending = np.concatenate(short)
            top[pending] = np.where(
                top[pending] < by_unit, np.minimum(2 * top[pending], by_unit), 2 * top[pending]
            )
        raise ValueError("a quantile lies beyond every number of units")

    def units_for_fill_rate(self, rate: float) -> Ints:
        """Return the fewest units whose expected sales are ``rate`` of the mean, shape n.

        ``rate`` lies in [0, 1): no number of units serves all of the demand.
        """
        # Bisection: ``low`` units are too few, ``high`` are enough. They begin with no unit
        # and with what demand never exceeds.
        low = np.full(len(self.mean), -1)
        high = np.where(self.mean > 0, self._practical_maximum(), 0)
        while len(open_ := np.flatnonzero(high - low > 1)):
            middle = (low[open_] + high[open_]) // 2
            wanted = rate * self.mean[open_] - _SALES_TOLERANCE_UNITS
            enough = self.select(open_).expected_sales(middle) >= wanted
            high[open_] = np.where(enough, middle, high[open_])
            low[open_] = np.where(enough, low[open_], middle)
        return high

    def _likely_maximum(self) -> Ints:
        """Return the units that demand rarely exceeds: 8 standard deviations above the mean."""
        active = self.mean / (1 - self.zero_inflation)
        top: Ints = (active + 8 * np.sqrt(active + active**2 / self.dispersion)).astype(
            np.int64
        ) + 8
        return top

    def _practical_maximum(self) -> Ints:
        """Return the units beyond which the probability of demand is negligible.

        Every unit divides the tail by 1 + dispersion / mean: at r = 3 and mean 3 it halves, and 16
        e-folds take 16 / log 2, some 24 units.
        """
        active = self.mean / (1 - self.zero_inflation)
        with np.errstate(divide="ignore", over="ignore"):
            rest = _NEGLIGIBLE_E_FOLDS / np.log1p(self.dispersion / active)
        return self._likely_maximum() + np.ceil(rest).astype(np.int64)

    def _survival_tables(self, most: Ints) -> Iterator[_SurvivalTable]:
        """Yield tables that hold the survival function of each product at least up to ``most``."""
        # Products that need a similar length share a table. Up to 20 units take lots of 1 and 22
        # cells, hence a column of 32; 40,000 units take lots of 3.
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
        """Return P(demand >= j × lot) for j = 0 … cells - 1, shape cells × products."""
        idle = self.zero_inflation[index]
        mean, size = _demand_in_lots(self.mean[index] / (1 - idle), self.dispersion[index], lot)
        j = np.arange(1.0, cells - 1)[:, None]
        survival = np.ones((cells, len(index)))
        # Work in place. In logarithms, P(0) = (r / (r + m))^r and P(j) / P(j-1) is
        # (r + j - 1) / j × m / (r + m); their running sum is log P(j). For r = 1 and m = 1, P is
        # 1/2, 1/4, 1/8, its running sum 1/2, 3/4, 7/8, and 1 minus that P(demand >= 1, 2, 3).
        below = survival[1:]
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
        return survival


def _cumulative_sums(table: Floats) -> Floats:
    """Replace each column of ``table`` with its running sums, in place, and return it."""
    if table.shape[1] < _ROW_CUMSUM_THRESHOLD:
        return np.cumsum(table, axis=0, out=table)
    for before, line in itertools.pairwise(table):
        np.add(line, before, out=line)
    return table


def _count_above(table: Floats, limits: Floats) -> Ints:
    """Return how many cells of each falling column of ``table`` exceed each of ``limits``.

    The shape is columns × limits.
    """
    if len(limits) <= _FEW_LIMITS:
        return np.stack([(table > limit).sum(axis=0) for limit in limits], axis=1)
    return np.stack([np.searchsorted(-column, -limits) for column in table.T])


def _demand_in_lots(mean: Floats, size: Floats, lot: Ints) -> tuple[Floats, Floats]:
    """Return the mean and dispersion of demand counted in lots, shape n each.

    They keep the variance that demand has in units, except where it is below that of a Poisson
    distribution of lots, which then takes its place.
    """
    if (lot == 1).all():
        return mean, size
    # The variance in lots is (m + m²/r) / l², a Poisson's is m / l. With m = 100, r = 4 and l = 10,
    # ``beyond`` is 100 + 2,500 - 1,000 = 1,600 units², hence r = 100² / 1,600 = 6.25 in lots: the
    # variance is 10 + 10² / 6.25 = 26 lots², which is 2,600 units².
    beyond = mean + mean**2 / size - mean * lot
    with np.errstate(divide="ignore", invalid="ignore"):
        coarse = np.where(
            beyond > 0, np.minimum(mean**2 / beyond, _POISSON_DISPERSION), _POISSON_DISPERSION
        )
    return mean / lot, np.where((lot == 1) | (mean == 0), size, coarse)
