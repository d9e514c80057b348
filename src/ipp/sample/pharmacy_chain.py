"""The synthetic pharmacy chain: its tables, and its sell-out counter by counter.

Demand is a compound Poisson process: customers come for a product at a rate that is the chain's
popularity x the area's taste x the counter's own; each falls on a day drawn by season, weekday and
trend, and takes a geometric number of units. So most days of a product have no sale, and the others
come in bursts. Only the customers are computed, not every product x day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from ipp.core import tables
from ipp.core.parameters import DAYS_PER_MONTH
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.sample.catalogue import Catalogue, Floats, Ints, Season, draw_catalogue

FIRST_MOSTRADOR: Final = 7_051_602  # seven digits, like real ones
COUNTER_SPREAD: Final = 0.45  # of the logarithm of counter sizes; their mean is 1
AREA_SPREAD, OWN_SPREAD = 0.30, 0.48  # of a product's demand: by postal code, by counter in it
CARRIED_SHARE, CARRIED_GROWTH = 0.84, 0.10  # of the catalogue; more in a counter e times as large
SWITCH_OFF_SHARE: Final = 0.05  # chance that a counter excludes a group of products
STOCKOUTS_A_YEAR, FAST_STOCKOUTS_A_YEAR = 0.4, 1.6  # of any product; more of a cheap fast mover
FAST_UNITS, CHEAP_PRICE_MXN = 60.0, 100.0
STOCK_DAYS, TRANSIT_DAYS = 21.0, 10.0  # of a product's sales that are on hand, and in transit
TARGET_DAYS: Final = 27.0  # of a counter's sales that it wants to hold; measured 27.25
SLOTS_PER_DAY: Final = 64  # days are drawn by slot; 64 keep the error of a day's weight near 1%

WEEKDAY: Final = (1.08, 1.02, 1.0, 1.0, 1.08, 1.05, 0.77)
"""Demand from Monday to Sunday, mean 1."""

PATRONS: Final = ("San Rafael", "Santa Elena", "San Judas", "La Esperanza", "Guadalupe")
ZONES: Final = ("Centro", "Del Valle", "Jardines", "Las Lomas", "Reforma", "La Joya", "Hidalgo")

_CATALOGUE_STREAM, _PLACES_STREAM, _AREA_STREAM = 1, 2, 3
"""Keys of the random streams; a counter's own key is its mostrador, far above these."""


class _Counter(NamedTuple):
    """A counter whose customers have not been assigned to days yet.

    ``customers`` is the number that come for each product within the window, ``slot`` what
    `_day_slots` returns. ``empty`` has the position, day x products + product, of each day on which
    a product was out of stock.
    """

    mostrador: int
    customers: Ints
    slot: Ints
    empty: Ints
    sales_rng: np.random.Generator
    record_rng: np.random.Generator


@dataclass(frozen=True, eq=False)
class PharmacyChain:
    """A synthetic pharmacy chain: four tables, and a sell-out that is drawn on demand.

    The sell-out covers the ``days`` days that end with ``end``. ``postal_code`` has an element a
    counter.
    """

    seed: int
    days: int
    end: dt.date
    catalogue: Catalogue
    postal_code: Ints

    @property
    def materials(self) -> pl.DataFrame:
        """The rows of `MATERIALS`."""
        return self.catalogue.frame

    @cached_property
    def counters(self) -> pl.DataFrame:
        """The rows of `COUNTERS`."""
        return pl.DataFrame([cells for cells, _ in self._records], schema=tables.COUNTERS.schema)

    @cached_property
    def configurations(self) -> pl.DataFrame:
        """The rows of `CONFIGURATIONS`."""
        return pl.DataFrame(
            [cells for cells, _ in self._records], schema=tables.CONFIGURATIONS.schema
        )

    @cached_property
    def stock(self) -> pl.DataFrame:
        """The rows of `STOCK`: each product that customers came for, also in vain."""
        return pl.concat([rows for _, rows in self._records], rechunk=True)

    def sellout(self) -> Iterator[pl.DataFrame]:
        """Yield each counter's rows of `SELLOUT`, by (date, material), only days with sales."""
        for number in range(self.postal_code.size):
            yield self._draw_sales(self._draw_counter(number))

    @cached_property
    def _dates(self) -> pl.Series:
        """Every day of the window, ascending."""
        return pl.date_range(self.end - dt.timedelta(days=self.days - 1), self.end, eager=True)

    @cached_property
    def _demand(self) -> Floats:
        """Demand of each season x day, as a multiple of the year's mean day."""
        month = (self._dates.dt.ordinal_day().to_numpy() - 1) * (12 / 365.25)
        middles = np.arange(12) + 0.5
        season = np.stack([np.interp(month, middles, s.value, period=12) for s in Season])
        demand: Floats = season * np.array(WEEKDAY)[self._dates.dt.weekday().to_numpy() - 1]
        return demand

    @cached_property
    def _records(self) -> list[tuple[dict[str, Any], pl.DataFrame]]:
        return [self._draw_record(number) for number in range(self.postal_code.size)]

    def _draw_counter(self, number: int) -> _Counter:
        """Draw counter ``number`` (from 0) by (seed, mostrador), independently of the others."""
        products, mostrador = self.catalogue, FIRST_MOSTRADOR + number
        rng, sales_rng, record_rng = np.random.default_rng([self.seed, mostrador]).spawn(3)
        size = rng.lognormal(-(COUNTER_SPREAD**2) / 2, COUNTER_SPREAD)
        area = np.random.default_rng([self.seed, _AREA_STREAM, int(self.postal_code[number])])
        taste = area.normal(0, AREA_SPREAD, products.price.size)
        taste += rng.normal(0, OWN_SPREAD, products.price.size)
        share = np.clip(CARRIED_SHARE + CARRIED_GROWTH * np.log(size), 0.45, 0.95)
        carried = rng.random(taste.size) < share
        annual = np.where(carried, products.annual_units * size * np.exp(taste), 0.0)
        slot = self._day_slots(rng)
        life = slot[products.season, products.leaves] - slot[products.season, products.enters]
        years = self._demand.sum(axis=1)[products.season] / 365 * life / slot[0, -1]
        customers = rng.poisson(annual / products.basket * years)
        empty = self._draw_stock_outs(annual, rng)
        return _Counter(mostrador, customers, slot, empty, sales_rng, record_rng)

    def _day_slots(self, rng: np.random.Generator) -> Ints:
        """Return the first slot of each season x (days + 1), the seasons one after the other.

        A season has days x `SLOTS_PER_DAY` slots, a day as many as its part of the demand. Two days
        of weights 1 and 3 share 128 slots as 32 and 96: the row of the first season is 0, 32, 128.
        """
        # One day's noise is of all products of a counter: weather, a closed street.
        part = np.cumsum(self._demand * rng.lognormal(0, 0.12, self.days), axis=1)
        slots = np.rint(part / part[:, -1:] * (self.days * SLOTS_PER_DAY)).astype(np.int64)
        slots = np.pad(slots, ((0, 0), (1, 0)))
        return slots + slots[:, -1:] * np.arange(len(Season))[:, None]

    def _draw_stock_outs(self, annual: Floats, rng: np.random.Generator) -> Ints:
        """Draw stock-outs of 3 days and, on average, 6 more; return them as `_Counter.empty`."""
        fast = (annual >= FAST_UNITS) & (self.catalogue.price <= CHEAP_PRICE_MXN)
        rate = np.where(annual > 0, STOCKOUTS_A_YEAR + FAST_STOCKOUTS_A_YEAR * fast, 0.0)
        product = np.repeat(np.arange(annual.size), rng.poisson(rate * self.days / 365))
        start = rng.integers(0, self.days, (product.size, 1))
        length = 3 + rng.exponential(6.0, (product.size, 1)).astype(np.int64)
        day = start + np.arange(length.max(initial=0))
        inside = (day < start + length) & (day < self.days)
        empty: Ints = (day * annual.size + product[:, None])[inside]
        return empty

    def _draw_sales(self, counter: _Counter) -> pl.DataFrame:
        """Draw the counter's rows of `SELLOUT`, sorted by (date, material), without zeros."""
        count, rng = counter.customers.size, counter.sales_rng
        product = np.repeat(np.arange(count), counter.customers)
        # The floor of an exponential is geometric; this scale gives it the mean ``basket - 1``.
        scale = 1.0 / np.log1p(1.0 / (self.catalogue.basket - 1.0))
        units = 1.0 + np.floor(rng.standard_exponential(product.size) * scale[product])
        cell = self._draw_customer_days(product, counter.slot, rng) * count + product
        total = np.bincount(cell, weights=units, minlength=self.days * count)
        total[counter.empty] = 0.0
        sold = np.flatnonzero(total)
        return pl.DataFrame(
            {
                "mostrador": np.full(sold.size, counter.mostrador),
                "material": self.materials["material"].gather(sold % count),
                "date": self._dates.gather(sold // count),
                "units": total[sold],
            },
            schema=tables.SELLOUT.schema,
        )

    def _draw_customer_days(self, product: Ints, slot: Ints, rng: np.random.Generator) -> Ints:
        """Draw the day of each customer, one for each element of ``product``.

        A product's slots, from its first day to its last, are drawn with density 1 + trend x
        (2v - 1) for v in [0, 1), by inverting its distribution function: trend v² + (1 - trend) v =
        u for a uniform u.
        """
        products, u = self.catalogue, rng.random(product.size)
        trend = products.trend[product]
        rest = 1.0 - trend
        # This form of the root divides by 2, not by 0, where the trend is 0 (then v = u). A trend
        # of 0.5 and u = 0.5 give 1 / (0.5 + √1.25) = 0.618: more customers come in the second half.
        v = 2.0 * u / (rest + np.sqrt(rest * rest + 4.0 * trend * u))
        begin, end = slot[products.season, products.enters], slot[products.season, products.leaves]
        at = begin[product] + (v * (end - begin)[product]).astype(np.int64)
        # v times the span may round up to the span itself, which is one slot past the last.
        at = np.minimum(at, (end - 1)[product])
        day = np.tile(np.arange(self.days), len(slot))
        drawn: Ints = np.repeat(day, np.diff(slot).ravel())[at]
        return drawn

    def _draw_record(self, number: int) -> tuple[dict[str, Any], pl.DataFrame]:
        """Draw a counter's cells of `COUNTERS` and `CONFIGURATIONS`, and its rows of `STOCK`."""
        counter = self._draw_counter(number)
        rng, products = counter.record_rng, self.catalogue
        daily = float((counter.customers * products.basket * products.price).sum()) / self.days
        stated, wanted = np.array([DAYS_PER_MONTH, TARGET_DAYS]) * daily
        says, wants = rng.random(2) < (0.7, 0.5)
        include = rng.random(len(PRODUCT_GROUPS)) >= SWITCH_OFF_SHARE
        model = tables.PREDICTIVE_MODEL if number % 4 == 1 else tables.TRADITIONAL_MODEL
        cells = {
            "mostrador": counter.mostrador,
            "counter_name": f"Farmacia {rng.choice(PATRONS)} {rng.choice(ZONES)} {number + 1}",
            "postal_code": int(self.postal_code[number]),
            "counter_sales_value": _round_amount(stated * rng.lognormal(0, 0.04)) if says else None,
            "inventory_model": model,
            "target_investment": _round_amount(wanted * rng.lognormal(0, 0.15)) if wants else None,
            "updated_on": self.end,
        }
        for group, included in zip(PRODUCT_GROUPS, include.tolist(), strict=True):
            cells[group.switch_name] = included
        return cells, self._draw_stock(counter)

    def _draw_stock(self, counter: _Counter) -> pl.DataFrame:
        """Draw the counter's rows of `STOCK`, whole units: what remains of the last orders."""
        rng, products = counter.record_rng, self.catalogue
        pace = counter.customers * products.basket / (products.leaves - products.enters)
        live = products.leaves == self.days
        # A counter keeps one unit at least of a slow product that is still sold, and little of one
        # that was withdrawn.
        held = np.rint(pace * STOCK_DAYS * rng.lognormal(-0.18, 0.6, pace.size))
        held = np.where(live, np.maximum(held, 1.0), np.rint(held * 0.15))
        held[rng.random(pace.size) < 0.04] = 0.0
        held[counter.empty[counter.empty >= (self.days - 1) * pace.size] % pace.size] = 0.0
        ordered = live & (rng.random(pace.size) < 0.08)
        coming = np.where(ordered, np.maximum(np.rint(pace * TRANSIT_DAYS), 1.0), 0.0)
        frame = self.materials.select(
            pl.lit(counter.mostrador, dtype=pl.Int64).alias("mostrador"),
            "material",
            pl.Series("on_hand", held),
            pl.Series("in_transit", coming),
            pl.lit(self.end).alias("counted_on"),
        )
        return frame.filter(counter.customers > 0).match_to_schema(tables.STOCK.schema)


def _round_amount(amount: float) -> float:
    """Return ``amount`` in thousands of MXN, as people report it; never 0 (the contract)."""
    return max(1.0, round(amount / 1_000)) * 1_000


def invent_chain(
    *, counters: int, materials: int, days: int, seed: int, end: dt.date
) -> PharmacyChain:
    """Draw a chain of ``counters`` x ``materials``, over the ``days`` days that end with ``end``.

    The same arguments give the same chain; counter k does not depend on ``counters``. ``seed`` is
    not negative, the others are at least 1.
    """
    catalogue = draw_catalogue(materials, days, np.random.default_rng([seed, _CATALOGUE_STREAM]))
    rng = np.random.default_rng([seed, _PLACES_STREAM])
    first_code = int(rng.integers(98_000))
    # Three to six counters share a postal code. Areas of 3, 4, … end before counters 3, 7, …:
    # searchsorted gives area 0 to counters 0-2 and area 1 to counters 3-6.
    in_area = np.cumsum(rng.integers(3, 7, counters))
    area = np.searchsorted(in_area, np.arange(counters), side="right")
    # A prime that does not divide the number of codes: its steps visit all before any repeats.
    postal_code = 1_000 + (first_code + area * 7_919) % 98_000
    return PharmacyChain(seed, days, end, catalogue, postal_code)
