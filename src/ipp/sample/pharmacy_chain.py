"""The synthetic pharmacy chain: its tables, and its sell-out counter by counter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl

from ipp.core.tables import CONFIGURATIONS, COUNTERS, STOCK
from ipp.errors import InvalidInputError
from ipp.sample import catalogue, counter_record, location
from ipp.sample.calendar import SampleCalendar
from ipp.sample.counter import SampleWorld, draw_counter, draw_sales


@dataclass(frozen=True, slots=True, eq=False)
class PharmacyChain:
    """A synthetic pharmacy chain: four tables, and a sell-out that is drawn on demand.

    The tables have the columns of `CONFIGURATIONS`, `COUNTERS`, `MATERIALS` and `STOCK`. Each call
    of ``sellout`` starts over and yields a frame a counter, ascending by mostrador, with the
    columns of `SELLOUT`, sorted by (date, material), only days with sales. ``end`` is the last of
    the ``days`` days.
    """

    configurations: pl.DataFrame
    counters: pl.DataFrame
    materials: pl.DataFrame
    stock: pl.DataFrame
    sellout: Callable[[], Iterator[pl.DataFrame]]
    days: int
    end: dt.date


def invent_chain(
    *, counters: int, materials: int, days: int, seed: int, end: dt.date
) -> PharmacyChain:
    """Draw a chain of ``counters`` x ``materials``, over the ``days`` days that end with ``end``.

    The same arguments give the same chain; counter k does not depend on ``counters``. The stock
    lists a product where customers came for it, including those who found it out of stock.

    Raises:
        InvalidInputError: a count below 1, or a seed below 0.
    """
    for word, value, least in (
        ("mostradores", counters, 1),
        ("productos", materials, 1),
        ("días", days, 1),
    ):
        _check_minimum(word, value, least)
    _check_minimum("semilla", seed, 0)
    calendar = SampleCalendar(end, days)
    drawn = catalogue.draw_catalogue(
        materials, days, location.random_stream(seed, location.RandomStream.CATALOGUE)
    )
    world = SampleWorld(seed, calendar, drawn, location.draw_locations(counters, seed))
    records = [counter_record.draw_counter_records(world, number) for number in range(counters)]
    return PharmacyChain(
        configurations=pl.DataFrame(
            [record.configuration for record in records], schema=CONFIGURATIONS.schema
        ),
        counters=pl.DataFrame([record.counter for record in records], schema=COUNTERS.schema),
        materials=drawn.frame,
        stock=pl.concat([record.stock for record in records], rechunk=True).match_to_schema(
            STOCK.schema
        ),
        sellout=partial(_draw_sellout, world),
        days=days,
        end=end,
    )


def _draw_sellout(world: SampleWorld) -> Iterator[pl.DataFrame]:
    """Yield the sell-out of each counter."""
    for number in range(world.places.mostrador.size):
        yield draw_sales(world, draw_counter(world, number))


def _check_minimum(word: str, value: int, least: int) -> None:
    """Raise `InvalidInputError` where ``value`` is below ``least``."""
    if value < least:
        raise InvalidInputError(
            f"{word}: {value} no se puede.", hint=f"Use un número entero desde {least} en adelante."
        )
