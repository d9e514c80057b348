"""The synthetic catalogue: products with their attributes and the drivers of their demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core.tables import MATERIALS
from ipp.sample import sample_parameters
from ipp.sample.calendar import Floats, Ints
from ipp.sample.product_line import (
    BRAND_VARIANTS,
    PRODUCT_LINES,
    STEM_ENDS,
    STEM_MIDDLES,
    STEM_STARTS,
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The products of the sample, one an element, ascending by material.

    ``annual_units`` is what an average counter that carries the product sells; ``basket`` the mean
    units of a customer; ``trend`` the change of demand from the middle of the window to its end, as
    a part of the mean. The product is sold on the days ``enters`` to ``leaves`` - 1 of the window.
    ``price`` is never missing here, unlike in ``frame``.
    """

    frame: pl.DataFrame
    material: Ints
    season: Ints
    licensed: npt.NDArray[np.bool_]
    price: Floats
    annual_units: Floats
    basket: Floats
    trend: Floats
    enters: Ints
    leaves: Ints


def draw_catalogue(materials: int, days: int, rng: np.random.Generator) -> Catalogue:
    """Draw ``materials`` products, some of which enter or leave within the ``days`` days.

    ``frame`` has the columns of `MATERIALS`; descriptions, bar codes and ids are unique.
    """
    lines = rng.permutation(_assign_lines(materials))
    category = np.array([line.category for line in PRODUCT_LINES])[lines]
    listed = _draw_prices(category, rng)
    price = np.where(np.isnan(listed), sample_parameters.TYPICAL_PRICE, listed)
    material = sample_parameters.FIRST_MATERIAL + np.cumsum(
        rng.integers(1, sample_parameters.MATERIAL_STEP, materials, endpoint=True)
    )
    enters, leaves = _draw_lifetimes(materials, days, rng)
    popularity = rng.lognormal(0.0, sample_parameters.POPULARITY_SPREAD, materials)
    extra = (
        sample_parameters.BASKET_EXTRA
        * (price / sample_parameters.BASKET_PRICE) ** sample_parameters.BASKET_POWER
    )
    frame = pl.DataFrame(
        {
            "material": material,
            "description": _invent_descriptions(lines, rng),
            "ean": _draw_bar_codes(materials, rng),
            "category": category,
            "price": pl.Series(listed, nan_to_null=True),
            "inner_pack": _draw_inner_packs(listed, rng),
            "vital": False,
        }
    )
    return Catalogue(
        frame=MATERIALS.conform_rows(frame.lazy()).collect(),
        material=material,
        season=np.array([int(line.season) for line in PRODUCT_LINES])[lines],
        licensed=np.isin(category, sample_parameters.LICENSED_CATEGORIES),
        price=price,
        annual_units=sample_parameters.ANNUAL_UNITS
        * popularity
        * (sample_parameters.TYPICAL_PRICE / price) ** sample_parameters.PRICE_EFFECT,
        basket=1 + np.clip(extra, *sample_parameters.BASKET_BOUNDS),
        trend=np.clip(
            rng.normal(0, sample_parameters.TREND_SPREAD, materials),
            -sample_parameters.TREND_BOUND,
            sample_parameters.TREND_BOUND,
        ),
        enters=enters,
        leaves=leaves,
    )


def _assign_lines(materials: int) -> Ints:
    """Return the index in `PRODUCT_LINES` of each product, by quota.

    Quotas, unlike random draws, give small catalogues the measured shares too.
    """
    bounds = np.cumsum([line.share for line in PRODUCT_LINES])
    quota = (np.arange(materials) + 0.5) / materials
    return np.minimum(np.searchsorted(bounds, quota, side="right"), len(PRODUCT_LINES) - 1)


def _draw_prices(category: npt.NDArray[np.str_], rng: np.random.Generator) -> Floats:
    """Draw prices by category, MXN to the cent; NaN where the catalogue has none."""
    medians = np.array([sample_parameters.PRICES[c].median for c in category])
    spreads = np.array([sample_parameters.PRICES[c].spread for c in category])
    price = np.clip(
        medians * np.exp(spreads * rng.standard_normal(category.size)),
        sample_parameters.MIN_PRICE,
        sample_parameters.MAX_PRICE,
    )
    dear_ones = np.flatnonzero(np.isin(category, sample_parameters.DEAR_CATEGORIES))
    dear = rng.choice(
        dear_ones,
        min(_few_positions(category.size, sample_parameters.DEAR_SHARE), dear_ones.size),
        replace=False,
    )
    price[dear] = rng.uniform(*sample_parameters.DEAR_PRICES, dear.size)
    ordinary = np.setdiff1d(np.arange(category.size), dear)
    without = rng.choice(
        ordinary,
        min(_few_positions(category.size, sample_parameters.UNPRICED_SHARE), ordinary.size),
        replace=False,
    )
    price[without] = np.nan
    cents: Floats = price.round(2)
    return cents


def _few_positions(materials: int, share: float) -> int:
    """Return how many of ``materials`` products a ``share`` is."""
    return round(materials * share)


def _draw_inner_packs(price: Floats, rng: np.random.Generator) -> list[int | None]:
    """Draw the units of an inner pack for a few cheap products, None for the others."""
    cheap = np.flatnonzero(price <= sample_parameters.INNER_PACK_MAX_PRICE)
    chosen = rng.choice(
        cheap,
        min(_few_positions(price.size, sample_parameters.INNER_PACK_SHARE), cheap.size),
        replace=False,
    )
    packs = rng.choice(
        sample_parameters.INNER_PACKS, chosen.size, p=sample_parameters.INNER_PACK_WEIGHTS
    )
    by_product = dict(zip(chosen.tolist(), packs.tolist(), strict=True))
    return [by_product.get(i) for i in range(price.size)]


def _draw_lifetimes(materials: int, days: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw each product's first day and the day after its last; most span the whole window."""
    fate = rng.random(materials)
    low, high = sample_parameters.CHANGE_BOUNDS
    day = np.ceil(days * rng.uniform(low, high, materials)).astype(np.int64)
    launched = fate < sample_parameters.LAUNCHED_SHARE
    withdrawn = fate >= 1 - sample_parameters.WITHDRAWN_SHARE
    # Every product is sold on one day at least, so a window of one day cannot be cut.
    day = np.clip(day, min(1, days - 1), days - 1)
    return np.where(launched, day, 0), np.where(withdrawn & (day > 0), day, days)


def _invent_descriptions(lines: Ints, rng: np.random.Generator) -> list[str]:
    """Return a unique description of each product; a brand's variants share a line if possible."""
    stems = [a + b + c for a in STEM_STARTS for b in STEM_MIDDLES for c in STEM_ENDS]
    brands = rng.permutation(len(stems)).tolist()
    picks = rng.random((lines.size, 4))
    texts = [""] * lines.size
    for i, product in enumerate(np.argsort(lines, kind="stable").tolist()):
        round_, brand = divmod(i // len(BRAND_VARIANTS), len(stems))
        name = (
            stems[brands[brand]]
            + BRAND_VARIANTS[i % len(BRAND_VARIANTS)]
            + (f" {round_ + 1}" if round_ else "")
        )
        line = PRODUCT_LINES[lines[product]]
        head, form, strength, pack = picks[product]
        dosage, strengths, packs = _pick_options(line.forms, form)
        words = (
            _pick_options(line.heads, head),
            name,
            dosage,
            _pick_options(strengths, strength),
            _pick_options(packs, pack),
        )
        texts[product] = " ".join(word for word in words if word)
    return texts


def _pick_options(options: tuple[_T, ...], at: float) -> _T:
    """Return the option at the relative position ``at``, in [0, 1)."""
    return options[int(at * len(options))]


def _draw_bar_codes(materials: int, rng: np.random.Generator) -> Ints:
    """Draw unique EAN-13 codes with a valid check digit (GS1: alternating weights 1 and 3)."""
    space = 10**9
    # The step is odd and no multiple of 5, so it is coprime to 10⁹ and no number comes twice.
    step, start = 618_033_989, int(rng.integers(space))
    body = (
        sample_parameters.EAN_PREFIX * space
        + (start + np.arange(materials, dtype=np.int64) * step) % space
    )
    digits = body[:, None] // 10 ** np.arange(11, -1, -1) % 10
    weighted = (digits * np.array([1, 3] * 6)).sum(axis=1)
    codes: Ints = body * 10 + (10 - weighted % 10) % 10
    return codes
