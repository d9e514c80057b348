"""What a made-up counter says of itself: its name, its configuration, its stock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ipp.core.groups import GROUPS
from ipp.core.parameters import DAYS_PER_MONTH
from ipp.core.tables import PREDICTIVE, STOCK, TRADITIONAL
from ipp.sample import shape
from ipp.sample.counter import Counter, World, open_counter
from ipp.sample.line import PATRONS, ZONES
from ipp.sample.place import Side, stream


@dataclass(frozen=True, slots=True)
class Paperwork:
    """A row of `CONFIGURATIONS`, a row of `COUNTERS`, and the counter's rows of `STOCK`, by material."""

    configuration: dict[str, Any]
    counter: dict[str, Any]
    stock: pl.DataFrame


def fill_in(world: World, number: int) -> Paperwork:
    """Open counter ``number`` (from 0) and write down what people would know of it."""
    counter = open_counter(world, number)
    rng = stream(world.seed, counter.mostrador, Side.PAPERWORK)
    value = counter.monthly_value(world)
    return Paperwork(
        configuration={
            "mostrador": counter.mostrador,
            "inventory_model": PREDICTIVE if number % shape.PREDICTIVE_EVERY == 1 else TRADITIONAL,
            "target_investment": _target(value, rng),
            **_switches(counter, rng),
            "updated_on": world.calendar.end,
        },
        counter={
            "mostrador": counter.mostrador,
            "counter_name": f"Farmacia {rng.choice(PATRONS)} {rng.choice(ZONES)} {number + 1}",
            "postal_code": int(world.places.postal_code[number]),
            "counter_sales_value": _sales(value, rng),
        },
        stock=_stock(world, counter, rng),
    )


def _target(monthly: float, rng: np.random.Generator) -> float | None:
    given = rng.random() < shape.TARGET_SHARE
    factor = rng.choice(shape.TARGET_FACTORS, p=shape.TARGET_WEIGHTS) * rng.lognormal(0, shape.TARGET_NOISE)
    return _round(monthly / DAYS_PER_MONTH * shape.TARGET_DAYS * factor) if given else None


def _sales(monthly: float, rng: np.random.Generator) -> float | None:
    known = rng.random() >= shape.SALES_UNKNOWN_SHARE
    amount = monthly * rng.lognormal(0, shape.SALES_NOISE)
    return _round(amount) if known else None


def _round(amount: float) -> float:
    """A round amount, but never 0: a contract asks for more."""
    return max(1.0, round(amount / shape.ROUNDED_TO)) * shape.ROUNDED_TO


def _switches(counter: Counter, rng: np.random.Generator) -> dict[str, bool]:
    draws = rng.random(len(GROUPS))
    off = {
        group.name: draw < _off_share(group.codes, counter.licensed)
        for group, draw in zip(GROUPS, draws.tolist(), strict=True)
    }
    return {f"include_{name}": not is_off for name, is_off in off.items()}


def _off_share(codes: frozenset[str], licensed: bool) -> float:
    barred = not licensed and codes == frozenset(shape.LICENSED_CATEGORIES)
    return shape.UNLICENSED_OFF_SHARE if barred else shape.SWITCH_OFF_SHARE


def _stock(world: World, counter: Counter, rng: np.random.Generator) -> pl.DataFrame:
    """About three weeks of sales of each product that customers came for; whole units."""
    catalogue, days = world.catalogue, world.calendar.days
    velocity = counter.customers * catalogue.basket / np.maximum(catalogue.leaves - catalogue.enters, 1)
    noise = rng.lognormal(-(shape.STOCK_NOISE**2) / 2, shape.STOCK_NOISE, velocity.size)
    held = np.rint(velocity * shape.STOCK_DAYS * noise)
    live = catalogue.leaves == days
    # Of a slow product that is still sold a counter keeps one unit.
    held = np.where(live, np.maximum(held, 1.0), np.rint(held * shape.STOCK_WITHDRAWN))
    held[rng.random(velocity.size) < shape.STOCK_EMPTY_SHARE] = 0.0
    held[counter.outages.product[counter.outages.stop == days]] = 0.0
    ordered = live & (rng.random(velocity.size) < shape.TRANSIT_SHARE)
    on_its_way = np.where(ordered, np.maximum(np.rint(velocity * shape.TRANSIT_DAYS), 1.0), 0.0)
    known = counter.customers > 0
    return pl.DataFrame(
        {
            "mostrador": np.full(int(known.sum()), counter.mostrador),
            "material": catalogue.material[known],
            "on_hand": held[known],
            "in_transit": on_its_way[known],
        }
    ).with_columns(pl.lit(world.calendar.end, dtype=STOCK.schema["counted_on"]).alias("counted_on"))
