"""The factor step: from fractional demand to whole units, for one factor or for all of them at once.

Every rule of the step is "round up when the decimal part reaches f", so on the grid f = 0.01 ... 0.99 each
product has, for each rule, one integer threshold: the last percent at which it still rounds up. The step is
then the same few array operations whether it is asked for one factor (a row of n products) or for all 99
(a matrix of 99 × n). Source of every rule: docs/model.md, "The factor step".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core import categories, money
from ipp.core.groups import BUMP_EXCLUDED
from ipp.core.parameters import BUMP_MAX_PRICE, PACK_TOLERANCE, Parameters

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PERCENTS: Final[Ints] = np.arange(1, 100, dtype=np.int64)
"""Every rounding factor there is, in hundredths."""

_EPSILON: Final = 1e-10
"""Added before truncating, so that 0.29 held as 0.28999… is 0.29: people compare with a spreadsheet."""

_SHARE_SCALE: Final = 1_000_000
"""The joroba's share is counted in millionths, so that "half up" is decided by integers."""


@dataclass(frozen=True, slots=True)
class Rounded:
    """A fractional quantity on the grid of factors: ``floor``, plus 1 at every percent up to ``last``."""

    floor: Ints
    last: Ints

    def at(self, percent: Ints) -> Ints:
        """Units at each percent; a column of percents gives a matrix, percents × products."""
        return self.floor + (percent <= self.last)

    def take(self, index: Ints) -> Rounded:
        """The same for some of the products."""
        return Rounded(self.floor[index], self.last[index])


@dataclass(frozen=True, slots=True)
class Products:
    """The products of one mostrador, as arrays of equal length n, ready to be rounded at any factor.

    ``base``, ``nine``, ``own`` and ``year`` are steps 1 to 4 before rounding; ``price`` and ``priority`` are in
    ten-thousandths of a peso; ``pack`` is 1 where there is no inner pack. ``stocked`` is false for what is
    without a price, above the highest price or left out by the configuration. ``bump_order`` lists the
    joroba's candidates, first come first served.
    """

    base: Rounded
    nine: Rounded
    own: Rounded
    year: Rounded
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


@dataclass(frozen=True, slots=True)
class Steps:
    """What each rule made of each product, in the order the rules apply; arrays of percents × products."""

    rounded: Ints
    rescue_applied: Flags
    rescued: Ints
    rule_p_applied: Flags
    rule_p: Ints
    rule_q_applied: Flags
    rule_q: Ints
    pack_applied: Flags
    packed: Ints
    bump_applied: Flags
    bumped: Ints


def products(frame: pl.DataFrame, parameters: Parameters) -> Products:
    """Prepare one mostrador's products; nulls count as zero, no row order is assumed.

    ``frame`` has material, category, price (MXN), area_demand, factor_9, factor_d, factor_f,
    weighted_traditional, sales_365d, sales_90d (units), and optionally inner_pack and included.
    """
    nine, own = _floats(frame, "factor_9"), _floats(frame, "factor_d")
    premium, traditional = _floats(frame, "factor_f"), _floats(frame, "weighted_traditional")
    base = base_demand(nine, own, premium, traditional)
    price = frame["price"].cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy()
    included = _included(frame)
    area_demand = _floats(frame, "area_demand")
    pack = _floats(frame, "inner_pack") if "inner_pack" in frame.columns else np.ones(len(frame))
    return Products(
        base=_truncating(base),
        nine=_plain(nine),
        own=_plain(own),
        year=_year(frame, parameters),
        without_area=area_demand == 0,
        recent_sales=_floats(frame, "sales_90d") >= 2,
        pack=np.maximum(pack, 1).astype(np.int64),
        price=money.to_units(price),
        stocked=included & (money.to_units(price) > 0) & (price <= parameters.max_price),
        counted=included,
        bump_order=_bump_order(frame, price, area_demand, included),
        bump_share=round(parameters.bump_share * _SHARE_SCALE),
    )


def base_demand(nine: Floats, own: Floats, premium: Floats, traditional: Floats) -> Floats:
    """Units expected over the cover period: Factor 9 where F = 0, Factor D where PT = 0, else F + PT."""
    return np.where(premium == 0, nine, np.where(traditional == 0, own, premium + traditional))


def steps(products: Products, percents: Ints) -> Steps:
    """Apply rules 2 to 7 at each of ``percents`` (hundredths, shape p); every array given back is p × n."""
    percent = percents[:, None]
    rounded = products.base.at(percent)
    rescued, rule_p, rule_q, rescue_applied, rule_p_applied, rule_q_applied = _rescues(products, percent, rounded)
    pack_applied = (products.pack > 1) & (rule_q > 0)
    packed = np.where(pack_applied, to_packs(rule_q, products.pack), rule_q)
    bump_applied = _bump(products, packed)
    return Steps(
        rounded=rounded,
        rescue_applied=rescue_applied,
        rescued=rescued,
        rule_p_applied=rule_p_applied,
        rule_p=rule_p,
        rule_q_applied=rule_q_applied,
        rule_q=rule_q,
        pack_applied=pack_applied,
        packed=packed,
        bump_applied=bump_applied,
        bumped=packed + bump_applied,
    )


def to_packs(units: Ints, pack: Ints) -> Ints:
    """Raise ``units`` to whole packs: at least one, and one more for an excess above `PACK_TOLERANCE`."""
    excess = units % pack
    opened = excess * PACK_TOLERANCE.denominator > pack * PACK_TOLERANCE.numerator
    packs: Ints = np.maximum(units // pack + opened, 1)
    return packs * pack


def curve(products: Products, *, bump: bool = True) -> Ints:
    """Investment at each factor 0.01 ... 0.99, in ten-thousandths of a peso, shape 99.

    Without ``bump`` it is the investment before the joroba, which never rises with the factor.
    """
    done = steps(products, PERCENTS)
    units = done.bumped if bump else done.packed
    return np.asarray(units @ np.where(products.stocked, products.price, 0), dtype=np.int64)


def choose(investments: Ints, target: float) -> int:
    """Give back the percent whose investment is nearest to ``target`` (MXN); of equals, the lowest."""
    gap = np.abs(investments - round(target * money.SCALE))
    return int(PERCENTS[int(np.argmin(gap))])


def _rescues(products: Products, percent: Ints, rounded: Ints) -> tuple[Ints, Ints, Ints, Flags, Flags, Flags]:
    """Rules 3 to 5, which touch only products whose demand is below one unit."""
    small = np.flatnonzero(products.base.floor == 0)
    start = rounded[:, small]
    nine = products.nine.take(small).at(percent)
    own = products.own.take(small).at(percent)
    rescued = np.where(start == 0, np.where(nine == 0, own, nine), start)
    p_applied = products.without_area[small] & (rescued == 0)
    rule_p = np.where(p_applied, products.year.take(small).at(percent), rescued)
    q_applied = products.recent_sales[small] & (rule_p == 0)
    rule_q = rule_p + q_applied

    def widen(part: Ints) -> Ints:
        whole = rounded.copy()
        whole[:, small] = part
        return whole

    def mark(part: Flags) -> Flags:
        whole = np.zeros(rounded.shape, dtype=np.bool_)
        whole[:, small] = part
        return whole

    return (
        widen(rescued),
        widen(rule_p),
        widen(rule_q),
        mark((start == 0) & (rescued > 0)),
        mark(p_applied),
        mark(q_applied),
    )


def _bump(products: Products, packed: Ints) -> Flags:
    """Rule 7: the first n candidates of ``bump_order`` that stand at exactly one unit."""
    holding = ((packed >= 1) & products.counted).sum(axis=1)
    places = (2 * holding * products.bump_share + _SHARE_SCALE) // (2 * _SHARE_SCALE)
    single = packed[:, products.bump_order] == 1
    chosen = single & (np.cumsum(single, axis=1, dtype=np.int32) <= places[:, None])
    applied = np.zeros(packed.shape, dtype=np.bool_)
    applied[:, products.bump_order] = chosen
    return applied


def _bump_order(frame: pl.DataFrame, price: Floats, area_demand: Floats, included: Flags) -> Ints:
    """Candidates by area_demand × price, then price, both falling, then material rising."""
    delicate = categories.code("category").is_in(sorted(BUMP_EXCLUDED)).fill_null(value=False)
    barred = frame.select(delicate).to_series().to_numpy()
    candidate = included & ~barred & (price <= BUMP_MAX_PRICE) & (money.to_units(price) > 0)
    index = np.flatnonzero(candidate)
    worth = money.to_units(area_demand * price)[index]
    order = np.lexsort((frame["material"].to_numpy()[index], -price[index], -worth))
    return index[order]


def _truncating(quantity: Floats) -> Rounded:
    """Round up from f, comparing trunc2(decimal part), as rule 2 does."""
    floor = np.floor(quantity)
    last = np.floor((quantity - floor + _EPSILON) * 100)
    return Rounded(floor.astype(np.int64), last.astype(np.int64))


def _plain(quantity: Floats) -> Rounded:
    """Round up from f, comparing the plain decimal part as float64, as rule 3 does."""
    floor = np.floor(quantity)
    decimal = quantity - floor
    last = np.rint(decimal * 100)
    last -= decimal < last / 100  # 0.26 may be held as 0.2599…: what counts is the comparison itself
    return Rounded(floor.astype(np.int64), last.astype(np.int64))


def _year(frame: pl.DataFrame, parameters: Parameters) -> Rounded:
    """Rule 4 in exact thousandths: trunc3((trunc3(S365/365) + trunc3(2 S90/90)) / 3) × cover days."""
    year = np.rint(_floats(frame, "sales_365d") * 1000).astype(np.int64) // 365
    quarter = np.rint(_floats(frame, "sales_90d") * 2000).astype(np.int64) // 90
    days = round(parameters.cover_days * 100)  # hundredths of a day times thousandths of a unit
    units = (year + quarter) // 3 * days
    return Rounded(units // 100_000, units % 100_000 // 1_000)


def _included(frame: pl.DataFrame) -> Flags:
    if "included" not in frame.columns:
        return np.ones(len(frame), dtype=np.bool_)
    return frame["included"].fill_null(value=True).to_numpy()


def _floats(frame: pl.DataFrame, name: str) -> Floats:
    return frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
