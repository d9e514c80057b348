"""Every number and word that shapes the made-up chain, with its reason, in one place.

"Measured" means: a statistic over the products of a real counter with 4,206 of them; no product, price or
name of it is in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FIRST_MOSTRADOR: Final = 7_051_602
"""Counters are numbered from here: seven digits, as people know them."""

FIRST_MATERIAL: Final = 100_001
"""Products are numbered upwards from here."""

MATERIAL_STEP: Final = 9
"""The largest gap between two products' numbers: real catalogues have gaps."""

EAN_PREFIX: Final = 200
"""GS1 keeps 200 to 299 for use inside a company: no real product carries such a bar code."""

# ---------------------------------------------------------------------------------------------- the calendar


class Season(IntEnum):
    """What makes a product sell more in one part of the year than in another; indexes `MONTHLY`."""

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
"""Demand in the middle of each month, January first, as a multiple of the year's mean; days between are
interpolated. Flu in winter, pollen in spring, sun (and two holiday seasons) from March to August."""

WEEKDAY: Final = (1.08, 1.02, 1.0, 1.0, 1.08, 1.05, 0.77)
"""Demand from Monday to Sunday, mean 1."""

SUNDAY_CLOSED_SHARE: Final = 0.15
"""Counters that do not open on Sundays."""

HOLIDAYS: Final = ((1, 1), (12, 25))
"""Month and day on which most people stay at home."""

HOLIDAY_DEMAND: Final = 0.35
"""Demand of a holiday, as a multiple of any other day's."""

PAYDAY_DEMAND: Final = 1.12
"""Demand on the 15th and the last of a month and on the day after: wages are paid every fortnight."""

DAY_NOISE: Final = 0.12
"""Log-spread of what all products of a counter share on one day (weather, a street closed)."""

SLOTS_PER_DAY: Final = 64
"""Resolution of a day's weight: a day is drawn by a look-up among slots, and 64 keep the error near 1%."""

# -------------------------------------------------------------------------------------------- the catalogue

MIN_PRICE: Final = 2.0
"""MXN: the cheapest product measured costs 2.30."""

MAX_PRICE: Final = 2_995.0
"""MXN: the dearest product measured, but for those of `DEAR_SHARE`."""

DEAR_SHARE: Final = 0.003
"""Products above the 3,500 MXN that no counter is asked to stock: few, so that the rule is seen to work."""

DEAR_PRICES: Final = (3_600.0, 9_800.0)
"""Their prices, MXN."""

DEAR_CATEGORIES: Final = ("EPEP", "11", "R1", "RE")
"""Where such prices are plausible."""

UNPRICED_SHARE: Final = 0.003
"""Products without a price: catalogues have a few."""

INNER_PACK_SHARE: Final = 0.005
"""Measured: 20 of 4,206."""

INNER_PACK_MAX_PRICE: Final = 60.0
"""MXN: measured, only cheap products are sold in inner packs."""

INNER_PACKS: Final = (5, 6, 12, 20, 24, 25, 100)
"""Units in an inner pack."""

INNER_PACK_WEIGHTS: Final = (0.05, 0.1, 0.45, 0.15, 0.1, 0.05, 0.1)
"""How often each of `INNER_PACKS`: measured, about half are dozens."""


@dataclass(frozen=True, slots=True)
class Price:
    """A category's median price, MXN, and the spread of its logarithm."""

    median: float
    spread: float


PRICES: Final = {
    "EPEP": Price(557, 0.71), "DMDM": Price(63, 1.27), "OO": Price(141, 0.82), "CACA": Price(335, 0.88),
    "33": Price(220, 0.85), "22": Price(539, 0.67), "R1": Price(901, 0.70), "11": Price(1_658, 0.67),
    "GG": Price(95, 0.70), "RE": Price(780, 0.67), "2G": Price(160, 0.60), "R3": Price(350, 0.60),
}  # fmt: skip
"""Measured, but for the generics (GG, 2G), of which that counter has none: below the branded price."""

# ---------------------------------------------------------------------------------------------- the demand

ANNUAL_UNITS: Final = 21.5
"""Median over the products an average counter carries; measured, 22 among those that sold within
a year."""

POPULARITY_SPREAD: Final = 0.93
"""Log-spread of a product's popularity over the whole chain. With the two below and the price it makes the
measured 1.15 of the logarithm of annual units."""

AREA_SPREAD: Final = 0.30
"""Log-spread of what the counters of one postal code share about a product: neighbours buy alike."""

OWN_SPREAD: Final = 0.48
"""Log-spread of what is a counter's own about a product."""

PRICE_EFFECT: Final = 0.26
"""Annual units fall with price to this power: measured, correlation -0.25 between the logarithms."""

TYPICAL_PRICE: Final = 350.0
"""MXN: the measured median, at which `PRICE_EFFECT` is neutral; stands in for a price that is missing."""

COUNTER_SPREAD: Final = 0.45
"""Log-spread of the size of counters; the mean size is 1, so the average counter is the measured one."""

CARRIED_SHARE: Final = 0.84
"""Part of the catalogue that an average counter carries: measured, 81% sold within a year, and some of what
is carried does not."""

CARRIED_GROWTH: Final = 0.10
"""What that part gains when a counter is e times as large: small counters carry less."""

CARRIED_BOUNDS: Final = (0.45, 0.95)
"""Nobody carries less or more."""

PREDICTIVE_EVERY: Final = 4
"""One counter in so many is of the predictive model, the second of each: both are seen beside each other."""

LICENSED_SHARE: Final = 0.7
"""Counters that may sell psychotropics; the measured one sold none."""

LICENSED_CATEGORIES: Final = ("22", "2G")
"""What takes the licence."""

BASKET_EXTRA: Final = 1.6
"""Units beyond the first that one customer buys, on average, of a product of `BASKET_PRICE`."""

BASKET_PRICE: Final = 20.0
"""MXN."""

BASKET_POWER: Final = -0.5
"""The units beyond the first fall with price to this power: gauze goes by the handful, insulin does not."""

BASKET_BOUNDS: Final = (0.12, 4.0)
"""The least and the most units beyond the first, on average."""

TREND_SPREAD: Final = 0.30
"""Spread of a product's trend: 0.3 means that demand goes from 70% to 130% of its mean over the window."""

TREND_BOUND: Final = 0.9
"""No trend is steeper: demand stays positive."""

LAUNCHED_SHARE: Final = 0.04
"""Products that enter the catalogue within the window."""

WITHDRAWN_SHARE: Final = 0.03
"""Products that leave it within the window."""

CHANGE_BOUNDS: Final = (0.1, 0.9)
"""Where in the window, as a part of it, products enter and leave."""

STOCKOUTS: Final = 0.4
"""Runs without stock that any carried product has in a year."""

FAST_STOCKOUTS: Final = 1.6
"""Further runs of a cheap fast mover."""

FAST_UNITS: Final = 60.0
"""Annual units from which a product is a fast mover."""

CHEAP_PRICE: Final = 100.0
"""MXN up to which a product is cheap."""

STOCKOUT_DAYS: Final = (3, 6.0)
"""A run lasts at least the first, and the second more on average, days."""

# ------------------------------------------------------------------------------ what a counter says of itself

AREA_COUNTERS: Final = (3, 6)
"""The least and the most counters of a postal code; the chain's last code may have fewer."""

POSTAL_CODES: Final = (1_000, 98_000)
"""The first postal code, and how many there are."""

POSTAL_STEP: Final = 7_919
"""A prime that does not divide their number: stepping by it visits every code once before any comes again."""

SALES_UNKNOWN_SHARE: Final = 0.3
"""Counters that do not say what they sell in a month."""

SALES_NOISE: Final = 0.04
"""Log-spread of what the others say around what they do sell."""

ROUNDED_TO: Final = 1_000.0
"""MXN: people say round amounts."""

TARGET_SHARE: Final = 0.5
"""Counters that say what they want to invest."""

TARGET_DAYS: Final = 27.0
"""Days of its sales that such a counter wants to hold; measured 27.25."""

TARGET_NOISE: Final = 0.08
"""Log-spread around it."""

TARGET_FACTORS: Final = (0.7, 1.0, 1.4)
"""Some want much less or much more."""

TARGET_WEIGHTS: Final = (0.12, 0.76, 0.12)
"""How often each of `TARGET_FACTORS`."""

SWITCH_OFF_SHARE: Final = 0.03
"""How often a counter leaves a group of products out."""

UNLICENSED_OFF_SHARE: Final = 0.5
"""How often a counter without a licence leaves the psychotropics out."""

STOCK_DAYS: Final = 21.0
"""Days of its own sales that a counter holds of a product."""

STOCK_NOISE: Final = 0.6
"""Log-spread around it, mean 1: stock is what the last order left."""

STOCK_EMPTY_SHARE: Final = 0.04
"""Products that are just sold out, besides those in a run without stock."""

STOCK_WITHDRAWN: Final = 0.15
"""What is left of a withdrawn product, as a part of what would be held."""

TRANSIT_SHARE: Final = 0.08
"""Products with an order on its way."""

TRANSIT_DAYS: Final = 10.0
"""Days of sales that such an order holds."""
