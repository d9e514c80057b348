"""Parameters of the synthetic chain, each with its reason.

"Measured" means a statistic over the products of a real counter with 4,206 of them; none of its
products, prices or names is in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FIRST_MOSTRADOR: Final = 7_051_602
"""Id of the first counter: seven digits, like real ones."""

FIRST_MATERIAL: Final = 100_001
"""Id of the first product."""

MATERIAL_STEP: Final = 9
"""Largest gap between the ids of two products: real catalogues have gaps."""

EAN_PREFIX: Final = 200
"""GS1 keeps 200 to 299 for use inside a company: no real product carries such a bar code."""

# ------------------------------------------------------------------------------------- calendar


class Season(IntEnum):
    """Seasonal pattern of a product's demand; indexes `MONTHLY`."""

    NONE = 0
    RESPIRATORY = 1
    ALLERGY = 2
    SUN = 3


MONTHLY: Final[tuple[tuple[float, ...], ...]] = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    (1.75, 1.5, 1.1, 0.85, 0.7, 0.62, 0.62, 0.68, 0.82, 1.03, 1.33, 1.7),
    (0.95, 1.2, 1.6, 1.75, 1.45, 0.95, 0.7, 0.65, 0.75, 0.8, 0.7, 0.7),
    (0.55, 0.7, 1.2, 1.5, 1.5, 1.45, 1.55, 1.25, 0.8, 0.55, 0.45, 0.5),
)
"""Demand in the middle of each month, January first, as a multiple of the year's mean; the days
between are interpolated. Flu in winter, pollen in spring, sun (and two holiday seasons) from March
to August."""

WEEKDAY: Final = (1.08, 1.02, 1.0, 1.0, 1.08, 1.05, 0.77)
"""Demand from Monday to Sunday, mean 1."""

SUNDAY_CLOSED_SHARE: Final = 0.15
"""Part of the counters that close on Sundays."""

HOLIDAYS: Final = ((1, 1), (12, 25))
"""Month and day on which most people stay at home."""

HOLIDAY_DEMAND: Final = 0.35
"""Demand of a holiday, as a multiple of any other day's."""

PAYDAY_DEMAND: Final = 1.12
"""Demand on the 15th, the last of a month and the day after each: wages are paid fortnightly."""

DAY_NOISE: Final = 0.12
"""Log-spread of the effect of one day on all products of a counter (weather, a closed street)."""

SLOTS_PER_DAY: Final = 64
"""Resolution of a day's weight: days are drawn by slot, and 64 keep the error near 1%."""

# ------------------------------------------------------------------------------------ catalogue

MIN_PRICE: Final = 2.0
"""MXN: the cheapest product measured costs 2.30."""

MAX_PRICE: Final = 2_995.0
"""MXN: the dearest product measured; only those of `DEAR_SHARE` cost more."""

DEAR_SHARE: Final = 0.003
"""Part of the products above the 3,500 MXN limit of stocking: a few, to exercise the rule."""

DEAR_PRICES: Final = (3_600.0, 9_800.0)
"""Prices of the products of `DEAR_SHARE`, MXN."""

DEAR_CATEGORIES: Final = ("EPEP", "11", "R1", "RE")
"""Categories in which such prices are plausible."""

UNPRICED_SHARE: Final = 0.003
"""Part of the products without a price: real catalogues have a few."""

INNER_PACK_SHARE: Final = 0.005
"""Part of the products with an inner pack; measured, 20 of 4,206."""

INNER_PACK_MAX_PRICE: Final = 60.0
"""Highest price of a product with an inner pack, MXN: measured, only cheap ones have any."""

INNER_PACKS: Final = (5, 6, 12, 20, 24, 25, 100)
"""Units in an inner pack."""

INNER_PACK_WEIGHTS: Final = (0.05, 0.1, 0.45, 0.15, 0.1, 0.05, 0.1)
"""Frequencies of `INNER_PACKS`; measured, about half are dozens."""


@dataclass(frozen=True, slots=True)
class Price:
    """A category's median price, MXN, and the spread of its logarithm."""

    median: float
    spread: float


PRICES: Final = {
    "EPEP": Price(557, 0.71), "DMDM": Price(63, 1.27), "OO": Price(141, 0.82),
    "CACA": Price(335, 0.88), "33": Price(220, 0.85), "22": Price(539, 0.67),
    "R1": Price(901, 0.70), "11": Price(1_658, 0.67), "GG": Price(95, 0.70),
    "RE": Price(780, 0.67), "2G": Price(160, 0.60), "R3": Price(350, 0.60),
}  # fmt: skip
"""Measured, except for generics (GG, 2G), which that counter lacks: below the branded price."""

# --------------------------------------------------------------------------------------- demand

ANNUAL_UNITS: Final = 21.5
"""Median annual units over the products that an average counter carries; measured, 22 among those
that sold within a year."""

POPULARITY_SPREAD: Final = 0.93
"""Log-spread of a product's popularity in the whole chain. With `AREA_SPREAD`, `OWN_SPREAD`
and the price it gives the measured log-spread of annual units, 1.15."""

AREA_SPREAD: Final = 0.30
"""Log-spread of a product's demand between postal codes: neighbours buy alike."""

OWN_SPREAD: Final = 0.48
"""Log-spread of a product's demand between the counters of one postal code."""

PRICE_EFFECT: Final = 0.26
"""Annual units fall with price to this power; measured, the logarithms correlate by -0.25."""

TYPICAL_PRICE: Final = 350.0
"""MXN: the measured median, where `PRICE_EFFECT` is neutral; replaces a missing price."""

COUNTER_SPREAD: Final = 0.45
"""Log-spread of counter sizes; their mean is 1, so the average counter is the measured one."""

CARRIED_SHARE: Final = 0.84
"""Part of the catalogue that an average counter carries; measured, 81% sold within a year, and some
carried products do not sell."""

CARRIED_GROWTH: Final = 0.10
"""Increase of the carried part for a counter e times as large: small counters carry less."""

CARRIED_BOUNDS: Final = (0.45, 0.95)
"""Least and largest part of the catalogue that a counter carries."""

PREDICTIVE_EVERY: Final = 4
"""The second of every so many counters uses the predictive model, to show both side by side."""

LICENSED_SHARE: Final = 0.7
"""Part of the counters licensed to sell psychotropics; the measured one sold none."""

LICENSED_CATEGORIES: Final = ("22", "2G")
"""Categories that require the licence."""

BASKET_EXTRA: Final = 1.6
"""Units beyond the first that one customer buys, on average, of a product of `BASKET_PRICE`."""

BASKET_PRICE: Final = 20.0
"""Price at which a basket has `BASKET_EXTRA` further units, MXN."""

BASKET_POWER: Final = -0.5
"""Units beyond the first vary with price to this power: gauze is bought by the handful."""

BASKET_BOUNDS: Final = (0.12, 4.0)
"""The least and the most units beyond the first, on average."""

TREND_SPREAD: Final = 0.30
"""Spread of a product's trend: at 0.3 demand goes from 70% to 130% of its mean in the window."""

TREND_BOUND: Final = 0.9
"""Largest trend: below 1, so that demand stays positive."""

LAUNCHED_SHARE: Final = 0.04
"""Part of the products that enter the catalogue within the window."""

WITHDRAWN_SHARE: Final = 0.03
"""Part of the products that leave the catalogue within the window."""

CHANGE_BOUNDS: Final = (0.1, 0.9)
"""Where in the window, as a part of it, products enter and leave."""

STOCKOUTS: Final = 0.4
"""Mean stock-outs a year of any carried product."""

FAST_STOCKOUTS: Final = 1.6
"""Mean further stock-outs a year of a cheap fast mover."""

FAST_UNITS: Final = 60.0
"""Annual units from which a product is a fast mover."""

CHEAP_PRICE: Final = 100.0
"""MXN up to which a product is cheap."""

STOCKOUT_DAYS: Final = (3, 6.0)
"""Days of a stock-out: at least the first number, and on average the second more."""

# -------------------------------------------------------------------------- counter master data

AREA_COUNTERS: Final = (3, 6)
"""Least and largest number of counters of a postal code; the chain's last may have fewer."""

POSTAL_CODES: Final = (1_000, 98_000)
"""The first postal code, and the number of codes."""

POSTAL_STEP: Final = 7_919
"""A prime that does not divide the number of codes: steps of it visit all before any repeats."""

SALES_UNKNOWN_SHARE: Final = 0.3
"""Part of the counters that do not report their monthly sales."""

SALES_NOISE: Final = 0.04
"""Log-spread of the reported sales around the true ones."""

ROUNDED_TO: Final = 1_000.0
"""MXN: people report round amounts, multiples of this."""

TARGET_SHARE: Final = 0.5
"""Part of the counters with a target investment."""

TARGET_DAYS: Final = 27.0
"""Days of its sales that such a counter wants to hold; measured 27.25."""

TARGET_NOISE: Final = 0.08
"""Log-spread of the target around `TARGET_DAYS`."""

TARGET_FACTORS: Final = (0.7, 1.0, 1.4)
"""Multiples of the target: some counters want much less or much more."""

TARGET_WEIGHTS: Final = (0.12, 0.76, 0.12)
"""Frequencies of `TARGET_FACTORS`."""

SWITCH_OFF_SHARE: Final = 0.03
"""Chance that a counter excludes a group of products."""

UNLICENSED_OFF_SHARE: Final = 0.5
"""Chance that a counter without a licence excludes the psychotropics."""

STOCK_DAYS: Final = 21.0
"""Days of its own sales of a product that a counter holds."""

STOCK_NOISE: Final = 0.6
"""Log-spread of stock around `STOCK_DAYS`, mean 1: stock is what remains of the last order."""

STOCK_EMPTY_SHARE: Final = 0.04
"""Part of the products that have just sold out, besides those in a stock-out."""

STOCK_WITHDRAWN: Final = 0.15
"""Stock of a withdrawn product, as a part of its usual stock."""

TRANSIT_SHARE: Final = 0.08
"""Part of the products with units in transit."""

TRANSIT_DAYS: Final = 10.0
"""Days of sales in transit, where any are."""
