"""Synthetic sell-out of one counter: assortment, customers, days of sale and stock-outs.

Demand is a compound Poisson process: customers come for a product at a rate that is the chain's
popularity x the area's taste x the counter's own; each falls on a day drawn by season, weekday and
trend, and takes a geometric number of units. So most days of a product have no sale, and the others
come in bursts. Only the customers are computed, not every product x day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core.parameters import DAYS_PER_MONTH
from ipp.core.tables import SELLOUT
from ipp.sample import sample_parameters
from ipp.sample.calendar import Floats, Ints, SampleCalendar
from ipp.sample.catalogue import Catalogue
from ipp.sample.location import CounterLocations, RandomStream, random_stream

_DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True)
class SampleWorld:
    """Everything that the counters share."""

    seed: int
    calendar: SampleCalendar
    catalogue: Catalogue
    places: CounterLocations


@dataclass(frozen=True, slots=True)
class StockOuts:
    """Stock-outs, one an element: the product's position, first day and day after the last."""

    product: Ints
    start: Ints
    stop: Ints


@dataclass(frozen=True, slots=True)
class SampleCounter:
    """A counter whose customers have not been assigned to days yet.

    ``customers`` is the number that come for each product within the window. ``slot`` is the first
    slot of each season x (days + 1): a day gets slots in proportion to its demand.
    """

    mostrador: int
    licensed: bool
    customers: Ints
    slot: Ints
    outages: StockOuts
    rng: np.random.Generator

    def monthly_value(self, world: SampleWorld) -> float:
        """Return the expected sales of a month, MXN, of the customers drawn."""
        catalogue = world.catalogue
        value = float((self.customers * catalogue.basket * catalogue.price).sum())
        return value / world.calendar.days * DAYS_PER_MONTH


def draw_counter(world: SampleWorld, number: int) -> SampleCounter:
    """Draw counter ``number`` (from 0) by (seed, mostrador), independently of other counters."""
    places, catalogue, days = world.places, world.catalogue, world.calendar.days
    mostrador, size = int(places.mostrador[number]), float(places.size[number])
    rng = random_stream(world.seed, mostrador)
    licensed = bool(rng.random() < sample_parameters.LICENSED_SHARE)
    slot = _day_slots(world.calendar, rng)
    area = random_stream(world.seed, RandomStream.AREA, int(places.area[number]))
    taste = area.normal(0, sample_parameters.AREA_SPREAD, catalogue.material.size)
    taste += rng.normal(0, sample_parameters.OWN_SPREAD, catalogue.material.size)
    share = np.clip(
        sample_parameters.CARRIED_SHARE + sample_parameters.CARRIED_GROWTH * np.log(size),
        *sample_parameters.CARRIED_BOUNDS,
    )
    carried = (rng.random(catalogue.material.size) < share) & (licensed | ~catalogue.licensed)
    annual = np.where(carried, catalogue.annual_units * size * np.exp(taste), 0.0)
    season = catalogue.season
    life = (slot[season, catalogue.leaves] - slot[season, catalogue.enters]) / slot[0, -1]
    years = world.calendar.demand.sum(axis=1)[season] / _DAYS_PER_YEAR * life
    return SampleCounter(
        mostrador=mostrador,
        licensed=licensed,
        customers=rng.poisson(annual / catalogue.basket * years),
        slot=slot,
        outages=_draw_stock_outs(annual, catalogue.price, days, rng),
        rng=rng,
    )


def draw_sales(world: SampleWorld, counter: SampleCounter) -> pl.DataFrame:
    """Draw the counter's rows of `SELLOUT`, sorted by (date, material), without zeros.

    Advances the counter's random generator: call `draw_counter` again to draw the same rows again.
    """
    catalogue, days = world.catalogue, world.calendar.days
    products = catalogue.material.size
    cell = _customer_days(world, counter) * products + np.repeat(
        np.arange(products), counter.customers
    )
    units = np.bincount(cell, weights=_draw_baskets(catalogue, counter), minlength=days * products)
    units[_stock_out_cells(counter.outages, products)] = 0.0
    sold = np.flatnonzero(units)
    day, product = np.divmod(sold, products)
    return pl.DataFrame(
        {
            "mostrador": np.full(sold.size, counter.mostrador),
            "material": catalogue.material[product],
            "date": world.calendar.dates[day],
            "units": units[sold],
        },
        schema=SELLOUT.schema,
    )


def _day_slots(calendar: SampleCalendar, rng: np.random.Generator) -> Ints:
    """Return where each day's slots begin, season x (days + 1).

    A season has days x `sample_parameters.SLOTS_PER_DAY` slots. With 64 a day, two days of weights
    1 and 3 share 128 slots as 32 and 96: the row is 0, 32, 128.
    """
    weight = calendar.demand * rng.lognormal(0, sample_parameters.DAY_NOISE, calendar.days)
    closes = rng.random() < sample_parameters.SUNDAY_CLOSED_SHARE
    if closes and not calendar.is_sunday.all():
        weight = np.where(calendar.is_sunday, 0.0, weight)
    part = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    slots = np.rint(part * (calendar.days * sample_parameters.SLOTS_PER_DAY)).astype(np.int64)
    return np.pad(slots, ((0, 0), (1, 0)))


def _draw_stock_outs(
    annual: Floats, price: Floats, days: int, rng: np.random.Generator
) -> StockOuts:
    """Draw stock-outs, more of them for cheap fast movers; the window's end cuts a run off."""
    fast = (annual >= sample_parameters.FAST_UNITS) & (price <= sample_parameters.CHEAP_PRICE)
    rate = np.where(
        annual > 0, sample_parameters.STOCKOUTS + sample_parameters.FAST_STOCKOUTS * fast, 0.0
    )
    product = np.repeat(np.arange(annual.size), rng.poisson(rate * days / _DAYS_PER_YEAR))
    start = rng.integers(0, days, product.size)
    least, more = sample_parameters.STOCKOUT_DAYS
    length = least + rng.exponential(more, product.size).astype(np.int64)
    return StockOuts(product, start, np.minimum(start + length, days))


def _customer_days(world: SampleWorld, counter: SampleCounter) -> Ints:
    """Draw the day of each customer, product by product.

    A product's slots, from its first day to its last, are drawn with density 1 + trend x (2v - 1)
    for v in [0, 1), by inverting its distribution function: trend v² + (1 - trend) v = u for a
    uniform u.
    """
    catalogue, slot = world.catalogue, counter.slot
    begin, end = slot[catalogue.season, catalogue.enters], slot[catalogue.season, catalogue.leaves]
    u = counter.rng.random(int(counter.customers.sum()))
    trend = np.repeat(catalogue.trend, counter.customers)
    rest = 1.0 - trend
    # This form of the root divides by 2, not by 0, where the trend is 0 (then v = u). A trend of
    # 0.5 and u = 0.5 give 1 / (0.5 + √1.25) = 0.618: more customers come in the second half.
    v = 2.0 * u / (rest + np.sqrt(rest * rest + 4.0 * trend * u))
    offset = catalogue.season * slot[0, -1]
    at = np.repeat(begin + offset, counter.customers)
    at += (v * np.repeat(end - begin, counter.customers)).astype(np.int64)
    # v times the span may round up to the span itself, which is one slot past the last.
    at = np.minimum(at, np.repeat(end + offset - 1, counter.customers))
    per_day = np.diff(slot, axis=1)
    day_of_slot = np.repeat(np.tile(np.arange(world.calendar.days), slot.shape[0]), per_day.ravel())
    dealt: Ints = day_of_slot[at]
    return dealt


def _draw_baskets(catalogue: Catalogue, counter: SampleCounter) -> Floats:
    """Draw the units of each customer, product by product: 1 plus a geometric number."""
    # The floor of an exponential is geometric; a scale of 1 / log(1 + 1/extra) gives it the mean
    # ``extra``.
    extra = catalogue.basket - 1.0
    scale = 1.0 / np.log1p(1.0 / extra)
    drawn = counter.rng.standard_exponential(int(counter.customers.sum()))
    return 1.0 + np.floor(drawn * np.repeat(scale, counter.customers))


def _stock_out_cells(outages: StockOuts, products: int) -> npt.NDArray[np.int64]:
    """Return the flat index, day x products + product, of every cell without stock."""
    # Runs are unrolled without a loop. Starts 5, 9 and lengths 2, 3: first is 5, 5, 7, 7, 7, and
    # adding 0, 1, 2, 3, 4 gives the days 5, 6 and 9, 10, 11.
    length = outages.stop - outages.start
    first = np.repeat(outages.start - np.cumsum(length) + length, length)
    day = first + np.arange(int(length.sum()))
    return day * products + np.repeat(outages.product, length)
