"""The products of the synthetic chain: attributes, and drivers of their demand.

"Measured" means a statistic over the products of a real counter with 4,206 of them; none of its
products, prices or names is in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core.tables import MATERIALS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Season(IntEnum):
    """Seasonal pattern of a product's demand, over the months of a year."""

    NONE = 0
    RESPIRATORY = 1
    ALLERGY = 2
    SUN = 3


class ProductLine(NamedTuple):
    """A part of the catalogue, and the words that describe its products after their brand."""

    category: str
    share: float
    forms: str
    strengths: str
    packs: str
    season: Season = Season.NONE


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

PRODUCT_LINES: Final = (
    ProductLine("EPEP", 0.320, *_TABLETS),
    ProductLine("EPEP", 0.035, *_CREAM),
    ProductLine("EPEP", 0.030, *_INJECTION),
    ProductLine("EPEP", 0.065, *_SYRUP, Season.RESPIRATORY),
    ProductLine("EPEP", 0.045, *_NASAL, Season.ALLERGY),
    ProductLine("DMDM", 0.080, *_DRESSING),
    ProductLine("DMDM", 0.065, *_DEVICE),
    ProductLine("DMDM", 0.015, *_BREATH, Season.RESPIRATORY),
    ProductLine("OO", 0.095, *_TABLETS),
    ProductLine("OO", 0.040, *_SYRUP, Season.RESPIRATORY),
    ProductLine("OO", 0.015, *_NASAL, Season.ALLERGY),
    ProductLine("CACA", 0.080, *_POWDER),
    ProductLine("33", 0.053, *_SKIN),
    ProductLine("33", 0.022, *_SUN, Season.SUN),
    ProductLine("22", 0.012, *_TABLETS),
    ProductLine("R1", 0.008, *_VIAL),
    ProductLine("11", 0.007, *_VIAL),
    ProductLine("GG", 0.007, *_TABLETS),
    ProductLine("RE", 0.003, *_VIAL),
    ProductLine("2G", 0.002, *_TABLETS),
    ProductLine("R3", 0.001, *_INJECTION),
)
"""Shares by category are measured; the lines of a category are an estimate. They sum to 1."""

PRICES_MXN: Final = {
    "EPEP": (557, 0.71), "DMDM": (63, 1.27), "OO": (141, 0.82), "CACA": (335, 0.88),
    "33": (220, 0.85), "22": (539, 0.67), "R1": (901, 0.70), "11": (1_658, 0.67),
    "GG": (95, 0.70), "RE": (780, 0.67), "2G": (160, 0.60), "R3": (350, 0.60),
}  # fmt: skip
"""A category's median price and the spread of its logarithm, measured but for generics."""

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

    ``annual_units`` is what an average counter that carries the product sells; ``basket`` the mean
    units of a customer; ``trend`` the change of demand from the middle of the window to its end, as
    a part of the mean. The product is sold on the days ``enters`` to ``leaves`` - 1 of the window.
    ``price`` is never missing here, unlike in ``frame``.
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
    # Quotas, unlike random draws, give small catalogues the measured shares too.
    quota = (np.arange(materials) + 0.5) / materials
    bounds = np.cumsum([line.share for line in PRODUCT_LINES[:-1]])
    lines = [PRODUCT_LINES[at] for at in rng.permutation(np.searchsorted(bounds, quota))]
    category = np.array([line.category for line in lines])
    listed = _draw_prices(category, rng)
    price = np.where(np.isnan(listed), TYPICAL_PRICE_MXN, listed)
    popularity = rng.lognormal(0.0, POPULARITY_SPREAD, materials)
    enters, leaves = _draw_lifetimes(materials, days, rng)
    frame = pl.DataFrame(
        {
            "material": 100_000 + np.cumsum(rng.integers(1, 10, materials)),
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
        season=np.array([int(line.season) for line in lines]),
        price=price,
        annual_units=ANNUAL_UNITS * popularity * (TYPICAL_PRICE_MXN / price) ** PRICE_EFFECT,
        # Gauze is bought by the handful: 2.6 units of what costs 20 MXN, 1.4 of what costs 350.
        basket=1 + np.clip(1.6 * (price / 20) ** -0.5, 0.12, 4.0),
        trend=np.clip(rng.normal(0, TREND_SPREAD, materials), -0.9, 0.9),
        enters=enters,
        leaves=leaves,
    )


def _draw_prices(category: npt.NDArray[np.str_], rng: np.random.Generator) -> Floats:
    """Draw prices by category, MXN to the cent; NaN where the catalogue has none."""
    median, spread = np.array([PRICES_MXN[code] for code in category]).T
    price = median * np.exp(spread * rng.standard_normal(category.size))
    price = np.clip(price, *PRICE_BOUNDS_MXN)
    few = round(category.size * FEW_SHARE)
    dear, *_ = np.nonzero(np.isin(category, DEAR_CATEGORIES))
    dear = rng.permutation(dear)[:few]
    price[dear] = rng.uniform(*DEAR_PRICES_MXN, dear.size)
    ordinary = np.setdiff1d(np.arange(category.size), dear)
    price[rng.permutation(ordinary)[:few]] = np.nan
    cents: Floats = np.round(price, 2)
    return cents


def _draw_inner_packs(price: Floats, rng: np.random.Generator) -> list[int | None]:
    """Draw the units of an inner pack for a few cheap products, None for the others."""
    cheap = rng.permutation(np.flatnonzero(price <= INNER_PACK_MAX_PRICE_MXN))
    packs: list[int | None] = [None] * price.size
    for place in cheap[: round(price.size * INNER_PACK_SHARE)].tolist():
        packs[place] = int(rng.choice(INNER_PACKS))
    return packs


def _draw_lifetimes(materials: int, days: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw each product's first day and the day after its last; most span the whole window."""
    fate = rng.random(materials)
    # Every product is sold on one day at least, so a window of one day cannot be cut.
    day = np.ceil(days * rng.uniform(0.1, 0.9, materials)).astype(np.int64)
    day = np.clip(day, min(1, days - 1), days - 1)
    enters = np.where(fate < LAUNCHED_SHARE, day, 0)
    return enters, np.where((fate >= 1 - WITHDRAWN_SHARE) & (day > 0), day, days)


def _invent_descriptions(lines: list[ProductLine], rng: np.random.Generator) -> list[str]:
    """Return a description of each product; a number is added when the brands are used up."""
    brands = ["".join(parts) for parts in product(*(text.split("|") for text in _SYLLABLES))]
    order = rng.permutation(len(brands)).tolist()
    texts = []
    for at, (line, picks) in enumerate(zip(lines, rng.random((len(lines), 3)), strict=True)):
        lap, place = divmod(at, len(brands))
        words = [brands[order[place]], *([str(lap + 1)] if lap else [])]
        for options, pick in zip((line.forms, line.strengths, line.packs), picks, strict=True):
            choices = options.split("|")
            words.append(choices[int(pick * len(choices))])
        texts.append(" ".join(words))
    return texts


def _draw_bar_codes(materials: int, rng: np.random.Generator) -> Ints:
    """Draw unique EAN-13 codes with a valid check digit (GS1: alternating weights 1 and 3)."""
    # GS1 keeps 200 to 299 for use inside a company: no real product carries such a bar code. The
    # step is odd and no multiple of 5, so it is coprime to 10⁹ and no number comes twice.
    step, start = 618_033_989, int(rng.integers(10**9))
    body = 200 * 10**9 + (start + np.arange(materials, dtype=np.int64) * step) % 10**9
    digits = body[:, None] // 10 ** np.arange(11, -1, -1) % 10
    codes: Ints = body * 10 - (digits * np.array([1, 3] * 6)).sum(axis=1) % -10
    return codes
