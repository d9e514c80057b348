"""One counter's year: what it carries, how often each product is asked for, when, and when it had run out.

Demand is a compound Poisson process: customers come for a product at a rate that is the chain's popularity x
the area's taste x the counter's own; each falls on a day drawn by season, weekday and trend, and takes a
geometric number of units. So a product's days are mostly empty, and the others come in bursts. Only what is
drawn is computed, not every product x day.
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
    """All that the counters share."""

    seed: int
    calendar: SampleCalendar
    catalogue: Catalogue
    places: CounterLocations


@dataclass(frozen=True, slots=True)
class StockOuts:
    """Runs without stock, one an element: the product's position, the first day, the day after the last."""

    product: Ints
    start: Ints
    stop: Ints


@dataclass(frozen=True, slots=True)
class SampleCounter:
    """A counter before its days are dealt out.

    ``customers`` is how many come for each product within the window. ``slot`` is the first slot of each
    season x day, one more than there are days: a day gets slots in proportion to its demand.
    """

    mostrador: int
    licensed: bool
    customers: Ints
    slot: Ints
    outages: StockOuts
    rng: np.random.Generator

    def monthly_value(self, world: SampleWorld) -> float:
        """What it sells in a month, MXN, by the customers that come."""
        catalogue = world.catalogue
        value = float((self.customers * catalogue.basket * catalogue.price).sum())
        return value / world.calendar.days * DAYS_PER_MONTH


def draw_counter(world: SampleWorld, number: int) -> SampleCounter:
    """Draw counter ``number`` (from 0) by (seed, mostrador): the same whatever other counters there are."""
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
    """Deal the customers out to days: the counter's rows of `SELLOUT`, by (date, material), none of them 0.

    Uses the counter's random numbers up: open it again for the same rows again.
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
    """Season x (days + 1): where each day's slots begin, among `shape.SLOTS_PER_DAY` a day."""
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
    """More often where a cheap product sells fast; a run may reach over the window's end."""
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
    """The day of each customer, product by product.

    A product's slots, from its first day to its last, are drawn with density 1 + trend x (2v - 1) for v in
    [0, 1): v solves trend v² + (1 - trend) v = u for a uniform u, written so that a trend of 0 divides by 2.
    """
    catalogue, slot = world.catalogue, counter.slot
    begin, end = slot[catalogue.season, catalogue.enters], slot[catalogue.season, catalogue.leaves]
    u = counter.rng.random(int(counter.customers.sum()))
    trend = np.repeat(catalogue.trend, counter.customers)
    rest = 1.0 - trend
    v = 2.0 * u / (rest + np.sqrt(rest * rest + 4.0 * trend * u))
    offset = catalogue.season * slot[0, -1]
    at = np.repeat(begin + offset, counter.customers)
    at += (v * np.repeat(end - begin, counter.customers)).astype(np.int64)
    # The product of v and the span may round up to the span itself, which is the first slot after the last.
    at = np.minimum(at, np.repeat(end + offset - 1, counter.customers))
    per_day = np.diff(slot, axis=1)
    day_of_slot = np.repeat(np.tile(np.arange(world.calendar.days), slot.shape[0]), per_day.ravel())
    dealt: Ints = day_of_slot[at]
    return dealt


def _draw_baskets(catalogue: Catalogue, counter: SampleCounter) -> Floats:
    """Units of each customer, product by product: 1 plus a geometric number (an exponential's floor)."""
    extra = catalogue.basket - 1.0
    scale = 1.0 / np.log1p(1.0 / extra)
    drawn = counter.rng.standard_exponential(int(counter.customers.sum()))
    return 1.0 + np.floor(drawn * np.repeat(scale, counter.customers))


def _stock_out_cells(outages: StockOuts, products: int) -> npt.NDArray[np.int64]:
    """The cells, day x product, of every run."""
    length = outages.stop - outages.start
    first = np.repeat(outages.start - np.cumsum(length) + length, length)
    day = first + np.arange(int(length.sum()))
    return day * products + np.repeat(outages.product, length)
