"""Rounding rules of the factor step: from fractional demand to whole units.

Every rule is "round up when the decimal part reaches f", so on the grid f = 0.01 ... 0.99 each
product has, for each rule, one integer threshold: the last percent at which it still rounds up.
The rules are then the same few array operations for one factor, for several, or for each product
at its own thresholds. Between its thresholds a product does not change, so the investment at all
99 factors follows from the thresholds alone (docs/decisions/0014). Source of every rule:
docs/explanation/model.md, "The factor step".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core import money, product_category
from ipp.core.parameters import BUMP_MAX_PRICE, PACK_TOLERANCE, Parameters
from ipp.core.product_groups import BUMP_EXCLUDED
from ipp.core.traditional.step_function import MAX_PERCENT, StepFunction

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FACTOR_PERCENTS: Final[Ints] = np.arange(1, MAX_PERCENT + 1, dtype=np.int64)
"""Every rounding factor, in hundredths."""

_TRUNCATION_EPSILON: Final = 1e-10
"""Added before truncating, so that 0.29 held as 0.28999… is 0.29, as in a spreadsheet."""

_MAX_UNITS: Final = 1e15
"""Cap on a quantity, so that no sum overflows 64 bits; publication rejects far less."""

_SHARE_SCALE: Final = 1_000_000
"""The joroba's share is counted in millionths, so that "half up" is decided by integers."""

_QUANTITY_COLUMNS: Final = (
    "area_demand", "factor_9", "factor_d", "factor_f", "weighted_traditional",
    "sales_365d", "sales_90d",
)  # fmt: skip
"""Columns in which an empty cell counts as zero."""


@dataclass(frozen=True, slots=True)
class RoundedQuantity:
    """A fractional quantity on the grid of factors.

    It rounds to ``floor`` + 1 at every percent up to ``last_rounded_up_percent``, and to ``floor``
    above it: 2.37 has floor 2 and last percent 37, so it is 3 at 0.37 and 2 at 0.38.
    """

    floor: Ints
    last_rounded_up_percent: Ints

    def units_at(self, percent: Ints) -> Ints:
        """Return the units at each percent, percents × products.

        ``percent`` is a column (p × 1), or p × n where each product has percents of its own.
        """
        return self.floor + (percent <= self.last_rounded_up_percent)


@dataclass(frozen=True, slots=True)
class RoundingProducts:
    """The products of one mostrador, ready to be rounded at any factor: arrays of length n.

    ``base``, ``nine``, ``own`` and ``year`` are steps 1 to 4 before rounding; ``price`` is in
    ten-thousandths of a peso; ``pack`` is 1 where there is no inner pack. ``stocked`` is false for
    a product without a price, above the highest price or excluded by the configuration;
    ``counted`` is false only for the excluded. ``bump_order`` lists the positions of the joroba's
    candidates, best first; ``bump_share`` is in millionths.
    """

    base: RoundedQuantity
    nine: RoundedQuantity
    own: RoundedQuantity
    year: RoundedQuantity
    without_area: Flags
    recent_sales: Flags
    pack: Ints
    price: Ints
    stocked: Flags
    counted: Flags
    bump_order: Ints
    bump_share: int

    def __len__(self) -> int:
        return len(self.price)


@dataclass(frozen=True)
class RuleQuantities:
    """Units after each of rules 2 to 6, in the order they apply; arrays of percents × products."""

    rounded: Ints
    rescue_applied: Flags
    rescued: Ints
    rule_p_applied: Flags
    rule_p: Ints
    rule_q_applied: Flags
    rule_q: Ints
    pack_applied: Flags
    packed: Ints


@dataclass(frozen=True)
class RoundingSteps(RuleQuantities):
    """Units after each of rules 2 to 7 (the joroba is the last)."""

    bump_applied: Flags
    bumped: Ints


def prepare_products(frame: pl.DataFrame, parameters: Parameters) -> RoundingProducts:
    """Prepare one mostrador's products; see `prepare_counters`."""
    (products,) = prepare_counters(frame, parameters, [slice(0, len(frame))])
    return products


def prepare_counters(
    frame: pl.DataFrame, parameters: Parameters, counters: Iterable[slice]
) -> list[RoundingProducts]:
    """Prepare the products of each of ``counters``, slices of ``frame``.

    Nulls count as zero, no row order is assumed within a counter. ``frame`` has material, category,
    price (MXN), area_demand, factor_9, factor_d, factor_f, weighted_traditional, sales_365d,
    sales_90d (units), and optionally inner_pack and included.
    """
    columns = {column.name: column.to_numpy() for column in _rule_inputs(frame)}
    return [
        _prepare_columns({name: column[rows] for name, column in columns.items()}, parameters)
        for rows in counters
    ]


def _prepare_columns(
    columns: Mapping[str, npt.NDArray[Any]], parameters: Parameters
) -> RoundingProducts:
    nine, own = columns["factor_9"], columns["factor_d"]
    price = money.to_units(columns["price"])
    return RoundingProducts(
        base=_round_truncated(
            base_quantity(nine, own, columns["factor_f"], columns["weighted_traditional"])
        ),
        nine=_round_plain(nine),
        own=_round_plain(own),
        year=_round_year_rule(columns["sales_365d"], columns["sales_90d"], parameters.cover_days),
        without_area=columns["area_demand"] == 0,
        recent_sales=columns["sales_90d"] >= 2,
        pack=np.maximum(columns["inner_pack"], 1).astype(np.int64),
        price=price,
        stocked=columns["included"] & (price > 0) & (columns["price"] <= parameters.max_price),
        counted=columns["included"],
        bump_order=_bump_order(columns),
        bump_share=round(parameters.bump_share * _SHARE_SCALE),
    )


def base_quantity(nine: Floats, own: Floats, premium: Floats, traditional: Floats) -> Floats:
    """Return a cover period's units: Factor 9 where F = 0, Factor D where PT = 0, else F + PT."""
    return np.where(premium == 0, nine, np.where(traditional == 0, own, premium + traditional))


def apply_rules(products: RoundingProducts, percents: Ints) -> RoundingSteps:
    """Apply rules 2 to 7 at each of ``percents`` (hundredths, shape p); every result is p × n."""
    rules = _apply_product_rules(products, percents[:, None])
    bump_applied = _apply_bump(products, rules.packed)
    return RoundingSteps(
        **vars(rules), bump_applied=bump_applied, bumped=rules.packed + bump_applied
    )


def largest_units(products: RoundingProducts) -> Ints:
    """Return an upper bound of each product's units after rules 2 to 7, at any factor."""
    rounded = (products.base, products.nine, products.own, products.year)
    # Rounding up, rule Q and the joroba add one each; opening a pack adds less than one pack.
    floor: Ints = np.max([rule.floor for rule in rounded], axis=0)
    return floor + 3 + products.pack


def round_to_packs(units: Ints, pack: Ints) -> Ints:
    """Raise ``units`` to whole packs, at least one; an excess over `PACK_TOLERANCE` adds one."""
    # The fraction is compared by cross-multiplying integers, so that exactly one sixth of a pack
    # never opens another. With packs of 6 and a tolerance of 1/6, 7 units have excess 1, and
    # 1 × 6 > 6 × 1 is false: one pack (6). 8 units have excess 2 and become two packs (12).
    excess = units % pack
    opened = excess * PACK_TOLERANCE.denominator > pack * PACK_TOLERANCE.numerator
    packs: Ints = np.maximum(units // pack + opened, 1)
    return packs * pack


def investment_by_factor(products: RoundingProducts, *, bump: bool = True) -> Ints:
    """Return the investment at each factor 0.01 ... 0.99, in ten-thousandths of a peso, shape 99.

    Without ``bump`` it is the investment before the joroba, which never grows with the factor.
    """
    # The rules are computed only at each product's own thresholds, not at 99 percents. With
    # thresholds 12, 40, 40 and 75 a product has five treads (to 12, 40, 40, 75 and 99), so a matrix
    # of 5 × n replaces one of 99 × n; `StepFunction` spreads its changes back over the percents.
    stairs = StepFunction.refine(
        *(
            r.last_rounded_up_percent
            for r in (products.base, products.nine, products.own, products.year)
        )
    )
    packed = _apply_product_rules(products, stairs.ends).packed
    price = np.where(products.stocked, products.price, 0)
    investment = stairs.sum_by_percent(packed * price)
    if not bump:
        return investment
    places = _bump_count(
        products, stairs.sum_by_percent(_has_stock(products, packed).astype(np.int64))
    )
    return investment + stairs.sum_first_by_percent(price, packed == 1, products.bump_order, places)


def choose_factor(investments: Ints, target: float) -> int:
    """Return the percent whose investment is nearest to ``target`` (MXN); of equals, the lowest."""
    gap = np.abs(investments - round(target * money.UNITS_PER_PESO))
    return int(FACTOR_PERCENTS[int(np.argmin(gap))])


def _apply_product_rules(products: RoundingProducts, percent: Ints) -> RuleQuantities:
    """Apply rules 2 to 6; ``percent`` is p × 1, or p × n for percents of each product's own."""
    rounded = products.base.units_at(percent)
    nine = products.nine.units_at(percent)
    rescued = np.where(
        rounded == 0, np.where(nine == 0, products.own.units_at(percent), nine), rounded
    )
    rule_p_applied = products.without_area & (rescued == 0)
    rule_p = np.where(rule_p_applied, products.year.units_at(percent), rescued)
    rule_q_applied = products.recent_sales & (rule_p == 0)
    rule_q = rule_p + rule_q_applied
    pack_applied = (products.pack > 1) & (rule_q > 0)
    return RuleQuantities(
        rounded=rounded,
        rescue_applied=(rounded == 0) & (rescued > 0),
        rescued=rescued,
        rule_p_applied=rule_p_applied,
        rule_p=rule_p,
        rule_q_applied=rule_q_applied,
        rule_q=rule_q,
        pack_applied=pack_applied,
        packed=np.where(pack_applied, round_to_packs(rule_q, products.pack), rule_q),
    )


def _apply_bump(products: RoundingProducts, packed: Ints) -> Flags:
    """Return rule 7's flags: the first candidates of ``bump_order`` with exactly one unit."""
    # A running count picks the first ones at all percents at once. With two places, candidates in
    # order with units 1, 0, 1, 1 count 1, 1, 2, 3: the first and the third are raised.
    places = _bump_count(products, _has_stock(products, packed).sum(axis=1))
    single = packed[:, products.bump_order] == 1
    chosen = single & (np.cumsum(single, axis=1, dtype=np.int32) <= places[:, None])
    applied = np.zeros(packed.shape, dtype=np.bool_)
    applied[:, products.bump_order] = chosen
    return applied


def _has_stock(products: RoundingProducts, packed: Ints) -> Flags:
    """Return the products that the joroba's share is taken of, percents × products."""
    return (packed >= 1) & products.counted


def _bump_count(products: RoundingProducts, holding: Ints) -> Ints:
    """Return how many products the joroba raises, given how many hold stock; half rounds up."""
    # floor(x / s + 1/2) in integers is (2x + s) // 2s: 3.5% of 100 products is 3.5, so 4 of them.
    return (2 * holding * products.bump_share + _SHARE_SCALE) // (2 * _SHARE_SCALE)


def _rule_inputs(frame: pl.DataFrame) -> pl.DataFrame:
    """Select the columns that the rules read, without nulls.

    Adds ``delicate``: the category is one that the joroba excludes (`BUMP_EXCLUDED`).
    """
    pack = pl.col("inner_pack") if "inner_pack" in frame.columns else pl.lit(1)
    included = pl.col("included") if "included" in frame.columns else pl.lit(value=True)
    return frame.select(
        pl.col("material"),
        pl.col(_QUANTITY_COLUMNS).cast(pl.Float64).fill_null(0.0),
        pl.col("price").cast(pl.Float64).fill_null(0.0).fill_nan(0.0),
        inner_pack=pack.cast(pl.Float64).fill_null(1.0),
        included=included.fill_null(value=True),
        delicate=product_category.normalise_category("category")
        .is_in(sorted(BUMP_EXCLUDED))
        .fill_null(value=False),
    )


def _bump_order(columns: Mapping[str, npt.NDArray[Any]]) -> Ints:
    """Sort the candidates by area_demand × price and price, both descending, then by material."""
    price = columns["price"]
    cheap = (price <= BUMP_MAX_PRICE) & (money.to_units(price) > 0)
    index = np.flatnonzero(columns["included"] & ~columns["delicate"] & cheap)
    priority = money.to_units((columns["area_demand"] * price)[index])
    # lexsort sorts by its last key first.
    order = np.lexsort((columns["material"][index], -price[index], -priority))
    return index[order]


def _round_truncated(quantity: Floats) -> RoundedQuantity:
    """Return ``quantity`` rounded up where trunc2(decimal part) reaches f (rule 2)."""
    quantity = np.minimum(quantity, _MAX_UNITS)
    floor = np.floor(quantity)
    last = np.floor((quantity - floor + _TRUNCATION_EPSILON) * 100)
    return RoundedQuantity(floor.astype(np.int64), last.astype(np.int64))


def _round_plain(quantity: Floats) -> RoundedQuantity:
    """Return ``quantity`` rounded up where the decimal part, as float64, reaches f (rule 3)."""
    quantity = np.minimum(quantity, _MAX_UNITS)
    floor = np.floor(quantity)
    decimal = quantity - floor
    last = np.rint(decimal * 100)
    # The rule compares the float64 itself: 0.26 held as 0.2599… does not reach 0.26, so its last
    # percent is 25 although it rounds to 26.
    last -= decimal < last / 100
    return RoundedQuantity(floor.astype(np.int64), last.astype(np.int64))


def _round_year_rule(sales_365d: Floats, sales_90d: Floats, cover_days: float) -> RoundedQuantity:
    """Return rule 4's quantity: trunc3((trunc3(S365/365) + trunc3(2 S90/90)) / 3) × cover days."""
    # Integers in thousandths of a unit make every truncation exact. S365 = 100, S90 = 30, 21 days:
    # 273 and 666 thousandths a day; (273 + 666) // 3 = 313; 313 × 2,100 = 657,300. As 10⁵ is one
    # unit, that is 6.573 units: floor 6, last percent 57.
    year = np.rint(sales_365d * 1000).astype(np.int64) // 365
    quarter = np.rint(sales_90d * 2000).astype(np.int64) // 90
    days = round(cover_days * 100)  # Hundredths of a day.
    units = (year + quarter) // 3 * days
    return RoundedQuantity(units // 100_000, units % 100_000 // 1_000)
