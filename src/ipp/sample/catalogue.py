"""The products of the synthetic chain: attributes, and drivers of their demand.

"Measured" means a statistic over the 4,206 products of a real counter; none of its products, prices
or names is in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core.tables import MATERIALS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Season(Enum):
    """Demand in the middle of each month, January first, as a multiple of the year's mean.

    Flu comes in winter, pollen in spring, sun (and two holiday seasons) from March to August.
    """

    NONE = (1.0,) * 12
    RESPIRATORY = (1.75, 1.5, 1.1, 0.85, 0.7, 0.62, 0.62, 0.68, 0.82, 1.03, 1.33, 1.7)
    ALLERGY = (0.95, 1.2, 1.6, 1.75, 1.45, 0.95, 0.7, 0.65, 0.75, 0.8, 0.7, 0.7)
    SUN = (0.55, 0.7, 1.2, 1.5, 1.5, 1.45, 1.55, 1.25, 0.8, 0.55, 0.45, 0.5)


# A line of products is the words that may describe them after the brand.
_TABLETS: Final = ("TAB|CAPS|GRAG", "5 MG|10 MG|20 MG|40 MG|100 MG|500 MG", "C/10|C/20|C/28|C/60")
_SYRUP: Final = ("JBE|SUSP", "15 MG/5 ML|30 MG/5 ML|100 MG/5 ML", "FCO 60 ML|FCO 120 ML")
_NASAL: Final = ("SPRAY NASAL", "50 MCG|100 MCG", "C/60 DOSIS|C/120 DOSIS|C/140 DOSIS")
_CREAM: Final = ("CRA|UNG|GEL", "0.5%|1%|2%|5%", "TUBO 15 G|TUBO 30 G|TUBO 60 G")
_INJECTION: Final = ("SOL INY", "4 MG/ML|50 MG/ML|75 MG/3 ML", "C/1 AMP|C/3 AMP|C/5 AMP")
_VIAL: Final = ("FAM|PLUMA", "10 MG|40 MG|150 MG|200 UI", "C/1|C/2|C/4")
_DRESSING: Final = ("GASA|VENDA|APOSITO", "5 CM|7.5 CM|10 CM|15 CM", "C/1|C/10|C/100")
_DEVICE: Final = ("GLUCOMETRO|BAUMANOMETRO|OXIMETRO|JGA|AGUJA", "M1|M2|PRO|BASICO", "C/1|C/ESTUCHE")
_BREATH: Final = ("CUBREBOCAS|NEBULIZADOR|MASCARILLA", "ADULTO|INFANTIL", "C/1|C/10|C/50")
_POWDER: Final = ("POLVO|GRANULADO", "VAINILLA|CHOCOLATE|FRESA", "LATA 400 G|BOTE 1 KG|C/30 SOB")
_SKIN: Final = ("EMULSION|GEL LIMPIADOR|SERUM", "PIEL SECA|PIEL MIXTA", "FCO 30 ML|FCO 200 ML")
_SUN: Final = ("PROT SOLAR|FLUIDO", "FPS 30|FPS 50|FPS 50+", "TUBO 50 ML|FCO 125 ML|FCO 200 ML")

LINE_SEASONS: Final = {
    _SYRUP: Season.RESPIRATORY, _BREATH: Season.RESPIRATORY, _NASAL: Season.ALLERGY,
    _SUN: Season.SUN,
}  # fmt: skip

CATEGORIES: Final = {
    "EPEP": (557, 0.71, {
        _TABLETS: 0.320, _CREAM: 0.035, _INJECTION: 0.030, _SYRUP: 0.065, _NASAL: 0.045,
    }),
    "DMDM": (63, 1.27, {_DRESSING: 0.080, _DEVICE: 0.065, _BREATH: 0.015}),
    "OO": (141, 0.82, {_TABLETS: 0.095, _SYRUP: 0.040, _NASAL: 0.015}),
    "CACA": (335, 0.88, {_POWDER: 0.080}),
    "33": (220, 0.85, {_SKIN: 0.053, _SUN: 0.022}),
    "22": (539, 0.67, {_TABLETS: 0.012}),
    "R1": (901, 0.70, {_VIAL: 0.008}),
    "11": (1_658, 0.67, {_VIAL: 0.007}),
    "GG": (95, 0.70, {_TABLETS: 0.007}),
    "RE": (780, 0.67, {_VIAL: 0.003}),
    "2G": (160, 0.60, {_TABLETS: 0.002}),
    "R3": (350, 0.60, {_INJECTION: 0.001}),
}  # fmt: skip
"""A category's median price, the spread of the price's logarithm, and the share of the catalogue
that each line has in it. Measured, but for generics' prices and the division into lines."""

PRICE_BOUNDS_MXN: Final = (2.0, 2_995.0)  # measured, without the few dear ones
DEAR_PRICES_MXN: Final = (3_600.0, 9_800.0)  # above the limit of stocking, to exercise the rule
DEAR_CATEGORIES: Final = ("EPEP", "11", "R1", "RE")
FEW_SHARE: Final = 0.003  # part of the products that are dear, and part without a price
TYPICAL_PRICE_MXN: Final = 350.0  # the measured median
INNER_PACK_SHARE: Final = 0.005  # measured: 20 of 4,206, only cheap ones
INNER_PACK_MAX_PRICE_MXN: Final = 60.0
INNER_PACKS: Final = (5, 6, 12, 12, 12, 20, 24, 100)  # measured: many are dozens
ANNUAL_UNITS: Final = 21.5  # median over what an average counter carries
POPULARITY_SPREAD: Final = 0.93  # of the logarithm of a product's units in the whole chain
PRICE_EFFECT: Final = 0.26  # units fall with price to this power
TREND_SPREAD: Final = 0.30  # at 0.3, demand goes from 70% to 130% of its mean in the window
LAUNCHED_SHARE, WITHDRAWN_SHARE = 0.04, 0.03  # parts that enter and leave within the window

_SYLLABLES: Final = (
    "ALVO|BRINA|CELDU|DORMI|ESTRO|FLAVI|GASTU|HEMBRO|ISCAL|JUVA|KERMO|LUMBA|MELQUI|NOVRI",
    "BEN|CRO|DAL|FLU|GRI|LET|MAX|NER|PRE|QUEL|RIM|STA|TRO|VEX|XIM|ZUR",
    "ADIN|AMOL|AXA|EDRIL|EFEN|ENTA|IBAN|ICOR|IDEX|ILAM|INOL|ONAL|OSAN|UDIN|ULEX|YTEC",
    "| PLUS| DUO| FORTE|-D| LP",
)
"""A brand is one of each: invented syllables, and a variant."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The products of the sample, one an element, ascending by material.

    ``season`` is the position in `Season`; ``price`` is never missing, unlike in ``frame``;
    ``annual_units`` is what an average counter that carries the product sells; ``basket`` the mean
    units of a customer; ``trend`` the change of demand from the middle of the window to its end, as
    a part of the mean. The product is sold on the days ``enters`` to ``leaves`` - 1 of the window.
    """

    frame: pl.DataFrame
    season: Ints
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
    lines = [(code, line) for code, (_, _, shares) in CATEGORIES.items() for line in shares]
    bounds = np.cumsum([share for *_, shares in CATEGORIES.values() for share in shares.values()])
    seasons = [list(Season).index(LINE_SEASONS.get(line, Season.NONE)) for _, line in lines]
    # Quotas, unlike random draws, give small catalogues the measured shares too.
    quota = (np.arange(materials) + 0.5) / materials
    drawn = rng.permutation(np.searchsorted(bounds[:-1], quota))
    categories = [lines[at][0] for at in drawn]
    listed = _draw_prices(categories, rng)
    price = np.where(np.isnan(listed), TYPICAL_PRICE_MXN, listed)
    popularity = rng.lognormal(0.0, POPULARITY_SPREAD, materials)
    enters, leaves = _draw_lifetimes(materials, days, rng)
    frame = pl.LazyFrame(
        {
            "material": 100_000 + np.cumsum(rng.integers(1, 10, materials)),
            "description": _invent_descriptions([lines[at][1] for at in drawn], rng),
            "ean": _draw_bar_codes(materials, rng),
            "category": categories,
            "price": pl.Series(listed, nan_to_null=True),
            "inner_pack": pl.Series(_draw_inner_packs(listed, rng), nan_to_null=True),
            "vital": False,
        }
    )
    return Catalogue(
        frame=MATERIALS.conform_rows(frame).collect(),
        season=np.array(seasons)[drawn],
        price=price,
        annual_units=ANNUAL_UNITS * popularity * (TYPICAL_PRICE_MXN / price) ** PRICE_EFFECT,
        # Gauze is bought by the handful: 2.6 units of what costs 20 MXN, 1.4 of what costs 350.
        basket=1 + np.clip(1.6 * (price / 20) ** -0.5, 0.12, 4.0),
        trend=np.clip(rng.normal(0, TREND_SPREAD, materials), -0.9, 0.9),
        enters=enters,
        leaves=leaves,
    )


def _draw_prices(categories: list[str], rng: np.random.Generator) -> Floats:
    """Draw prices by category, MXN to the cent; NaN where the catalogue has none."""
    median, spread = np.array([CATEGORIES[code][:2] for code in categories]).T
    price = np.clip(median * np.exp(spread * rng.standard_normal(median.size)), *PRICE_BOUNDS_MXN)
    few = round(price.size * FEW_SHARE)
    dear = rng.permutation(np.flatnonzero(np.isin(categories, DEAR_CATEGORIES)))[:few]
    price[dear] = rng.uniform(*DEAR_PRICES_MXN, dear.size)
    ordinary = np.setdiff1d(np.arange(price.size), dear)
    price[rng.permutation(ordinary)[:few]] = np.nan
    cents: Floats = np.round(price, 2)
    return cents


def _draw_inner_packs(price: Floats, rng: np.random.Generator) -> Floats:
    """Draw the units of an inner pack for a few cheap products, NaN for the others."""
    cheap = rng.permutation(np.flatnonzero(price <= INNER_PACK_MAX_PRICE_MXN))
    few = cheap[: round(price.size * INNER_PACK_SHARE)]
    packs = np.full(price.size, np.nan)
    packs[few] = rng.choice(INNER_PACKS, few.size)
    return packs


def _draw_lifetimes(materials: int, days: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw each product's first day and the day after its last; most span the whole window."""
    fate = rng.random(materials)
    # Every product is sold on one day at least, so a window of one day cannot be cut.
    day = np.ceil(days * rng.uniform(0.1, 0.9, materials)).astype(np.int64)
    day = np.clip(day, min(1, days - 1), days - 1)
    enters = np.where(fate < LAUNCHED_SHARE, day, 0)
    return enters, np.where((fate >= 1 - WITHDRAWN_SHARE) & (day > 0), day, days)


def _invent_descriptions(lines: list[tuple[str, ...]], rng: np.random.Generator) -> list[str]:
    """Return a description of each product; a number is added when the brands are used up."""
    brands = ["".join(parts) for parts in product(*(text.split("|") for text in _SYLLABLES))]
    brands = [brands[at] for at in rng.permutation(len(brands))]
    descriptions = []
    for at, (line, picks) in enumerate(zip(lines, rng.random((len(lines), 3)), strict=True)):
        lap, place = divmod(at, len(brands))
        choices = zip((text.split("|") for text in line), picks, strict=True)
        words = [options[int(pick * len(options))] for options, pick in choices]
        brand = [brands[place], str(lap + 1)] if lap else [brands[place]]
        descriptions.append(" ".join(brand + words))
    return descriptions


def _draw_bar_codes(materials: int, rng: np.random.Generator) -> Ints:
    """Draw unique EAN-13 codes with a valid check digit (GS1: alternating weights 1 and 3)."""
    # GS1 keeps 200 to 299 for use inside a company: no real product carries such a bar code. The
    # step is odd and no multiple of 5, so it is coprime to 10⁹ and no number comes twice.
    step, start = 618_033_989, int(rng.integers(10**9))
    body = 200 * 10**9 + (start + np.arange(materials, dtype=np.int64) * step) % 10**9
    digits = body[:, None] // 10 ** np.arange(11, -1, -1) % 10
    codes: Ints = body * 10 - (digits * np.array([1, 3] * 6)).sum(axis=1) % -10
    return codes
