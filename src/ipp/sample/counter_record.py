"""Master data of a synthetic counter: its name, configuration and stock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ipp.core.parameters import DAYS_PER_MONTH
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import PREDICTIVE_MODEL, STOCK, TRADITIONAL_MODEL
from ipp.sample import sample_parameters
from ipp.sample.counter import SampleCounter, SampleWorld, draw_counter
from ipp.sample.location import SideStream, random_stream
from ipp.sample.product_line import PATRON_NAMES, ZONE_NAMES


@dataclass(frozen=True, slots=True)
class CounterRecords:
    """A counter's rows of `CONFIGURATIONS` and `COUNTERS`, and its `STOCK` by material."""

    configuration: dict[str, Any]
    counter: dict[str, Any]
    stock: pl.DataFrame


def draw_counter_records(world: SampleWorld, number: int) -> CounterRecords:
    """Draw counter ``number`` (from 0) and its records."""
    counter = draw_counter(world, number)
    rng = random_stream(world.seed, counter.mostrador, SideStream.PAPERWORK)
    value = counter.monthly_value(world)
    return CounterRecords(
        configuration={
            "mostrador": counter.mostrador,
            "inventory_model": PREDICTIVE_MODEL
            if number % sample_parameters.PREDICTIVE_EVERY == 1
            else TRADITIONAL_MODEL,
            "target_investment": _draw_target(value, rng),
            **_draw_switches(counter, rng),
            "updated_on": world.calendar.end,
        },
        counter={
            "mostrador": counter.mostrador,
            "counter_name": f"Farmacia {rng.choice(PATRON_NAMES)} "
            f"{rng.choice(ZONE_NAMES)} {number + 1}",
            "postal_code": int(world.places.postal_code[number]),
            "counter_sales_value": _stated_sales(value, rng),
        },
        stock=_draw_stock(world, counter, rng),
    )


def _draw_target(monthly: float, rng: np.random.Generator) -> float | None:
    """Draw the target investment, MXN; None where the counter does not set one."""
    has_target = rng.random() < sample_parameters.TARGET_SHARE
    factor = rng.choice(
        sample_parameters.TARGET_FACTORS, p=sample_parameters.TARGET_WEIGHTS
    ) * rng.lognormal(0, sample_parameters.TARGET_NOISE)
    return (
        _round_amount(monthly / DAYS_PER_MONTH * sample_parameters.TARGET_DAYS * factor)
        if has_target
        else None
    )


def _stated_sales(monthly: float, rng: np.random.Generator) -> float | None:
    """Draw the monthly sales that the counter reports, MXN; None where it reports none."""
    known = rng.random() >= sample_parameters.SALES_UNKNOWN_SHARE
    amount = monthly * rng.lognormal(0, sample_parameters.SALES_NOISE)
    return _round_amount(amount) if known else None


def _round_amount(amount: float) -> float:
    """Return ``amount`` rounded to `sample_parameters.ROUNDED_TO`, never 0 (the contract)."""
    return max(1.0, round(amount / sample_parameters.ROUNDED_TO)) * sample_parameters.ROUNDED_TO


def _draw_switches(counter: SampleCounter, rng: np.random.Generator) -> dict[str, bool]:
    """Draw the configuration's switch of each product group, by column."""
    draws = rng.random(len(PRODUCT_GROUPS))
    off = {
        group.name: draw < _switch_off_share(group.codes, counter.licensed)
        for group, draw in zip(PRODUCT_GROUPS, draws.tolist(), strict=True)
    }
    return {f"include_{name}": not is_off for name, is_off in off.items()}


def _switch_off_share(codes: frozenset[str], licensed: bool) -> float:
    """Return the chance that a counter excludes the group of ``codes``."""
    barred = not licensed and codes == frozenset(sample_parameters.LICENSED_CATEGORIES)
    return sample_parameters.UNLICENSED_OFF_SHARE if barred else sample_parameters.SWITCH_OFF_SHARE


def _draw_stock(
    world: SampleWorld, counter: SampleCounter, rng: np.random.Generator
) -> pl.DataFrame:
    """Draw the stock of each product with customers: about three weeks of sales, whole units."""
    catalogue, days = world.catalogue, world.calendar.days
    velocity = (
        counter.customers * catalogue.basket / np.maximum(catalogue.leaves - catalogue.enters, 1)
    )
    noise = rng.lognormal(
        -(sample_parameters.STOCK_NOISE**2) / 2, sample_parameters.STOCK_NOISE, velocity.size
    )
    held = np.rint(velocity * sample_parameters.STOCK_DAYS * noise)
    live = catalogue.leaves == days
    # A counter keeps at least one unit of a slow product that is still sold.
    held = np.where(live, np.maximum(held, 1.0), np.rint(held * sample_parameters.STOCK_WITHDRAWN))
    held[rng.random(velocity.size) < sample_parameters.STOCK_EMPTY_SHARE] = 0.0
    held[counter.outages.product[counter.outages.stop == days]] = 0.0
    ordered = live & (rng.random(velocity.size) < sample_parameters.TRANSIT_SHARE)
    on_its_way = np.where(
        ordered, np.maximum(np.rint(velocity * sample_parameters.TRANSIT_DAYS), 1.0), 0.0
    )
    known = counter.customers > 0
    return pl.DataFrame(
        {
            "mostrador": np.full(int(known.sum()), counter.mostrador),
            "material": catalogue.material[known],
            "on_hand": held[known],
            "in_transit": on_its_way[known],
        }
    ).with_columns(pl.lit(world.calendar.end, dtype=STOCK.schema["counted_on"]).alias("counted_on"))
