"""Product lines of the synthetic catalogue: share, season, and the words of descriptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ipp.sample.sample_parameters import Season


@dataclass(frozen=True, slots=True)
class ProductLine:
    """A part of a category: ``share`` of the whole catalogue, and the words of a description.

    A description is head, brand and form; a form is a dosage form with its strengths and packs.
    """

    category: str
    share: float
    forms: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    heads: tuple[str, ...] = ("",)
    season: Season = Season.NONE


_MG: Final = ("5 MG", "10 MG", "20 MG", "40 MG", "50 MG", "100 MG", "250 MG", "500 MG")
_TABLETS: Final = ("C/10", "C/14", "C/20", "C/28", "C/30", "C/60")
_ORAL: Final = (("TAB", _MG, _TABLETS), ("CAPS", _MG, _TABLETS), ("GRAG", _MG, _TABLETS))
_SYRUP: Final = (
    ("JBE", ("15 MG/5 ML", "30 MG/5 ML", "100 MG/5 ML"), ("FCO 60 ML", "FCO 120 ML", "FCO 150 ML")),
)
_DROPS: Final = (("GTS", ("0.1%", "0.5%", "1%"), ("FCO 5 ML", "FCO 10 ML", "FCO 15 ML")),)
_INJECTION: Final = (
    ("SOL INY", ("4 MG/ML", "50 MG/ML", "75 MG/3 ML"), ("C/1 AMP", "C/3 AMP", "C/5 AMP")),
)
_CREAM: Final = (("CRA", ("0.5%", "1%", "2%", "5%"), ("TUBO 15 G", "TUBO 30 G", "TUBO 60 G")),)
_NASAL: Final = (
    ("SPRAY NASAL", ("50 MCG", "100 MCG"), ("C/60 DOSIS", "C/120 DOSIS", "C/140 DOSIS")),
)
_SACHET: Final = (("GRANULADO", ("500 MG", "600 MG", "1 G"), ("C/6 SOB", "C/10 SOB", "C/30 SOB")),)
_POWDER: Final = (
    (
        "POLVO",
        ("VAINILLA", "CHOCOLATE", "FRESA", "NATURAL"),
        ("LATA 400 G", "LATA 800 G", "BOTE 1 KG"),
    ),
)
_SKIN: Final = (
    (
        "EMULSION",
        ("PIEL SECA", "PIEL MIXTA", "PIEL SENSIBLE"),
        ("FCO 200 ML", "FCO 400 ML", "FCO 473 ML"),
    ),
    (
        "GEL LIMPIADOR",
        ("PIEL GRASA", "PIEL MIXTA", "PIEL SENSIBLE"),
        ("FCO 150 ML", "FCO 236 ML", "FCO 500 ML"),
    ),
    ("SERUM", ("VITAMINA C", "RETINOL 0.3%", "NIACINAMIDA 10%"), ("FCO 15 ML", "FCO 30 ML")),
)
_SUN: Final = (
    (
        "FLUIDO",
        ("FPS 30", "FPS 50", "FPS 50+"),
        ("TUBO 40 ML", "TUBO 50 ML", "FCO 125 ML", "FCO 200 ML"),
    ),
)
_PEN: Final = (
    ("PLUMA", ("100 UI/ML", "200 UI/ML", "300 UI/ML"), ("C/1 3 ML", "C/3 3 ML", "C/5 3 ML")),
)
_VIAL: Final = (("FAM", ("10 MG", "40 MG", "150 MG", "200 UI"), ("C/1", "C/2", "C/4")),)
_CARE: Final = (
    ("ESTERIL", ("5X5 CM", "7.5X5 CM", "10X10 CM"), ("C/1", "C/10", "C/100")),
    ("ELASTICA", ("5 CM", "10 CM", "15 CM"), ("X 5 M", "X 10 M")),
    ("ADHESIVA", ("1.25 CM", "2.5 CM", "5 CM"), ("X 5 M", "X 9 M")),
)
_NEEDLES: Final = (
    ("DESECH", ("1 ML 31G", "3 ML 22G", "5 ML 21G", "10 ML 21G"), ("C/1", "C/10", "C/100")),
)
_MEASURE: Final = (("DIGITAL", ("M1", "M2", "PRO", "BASICO"), ("C/1", "C/ESTUCHE")),)
_BREATH: Final = (
    ("ADULTO", ("CH", "MED", "GDE"), ("C/1", "C/10", "C/50")),
    ("INFANTIL", ("CH", "MED"), ("C/1", "C/10")),
)

PRODUCT_LINES: Final[tuple[ProductLine, ...]] = (
    ProductLine("EPEP", 0.385, (*_ORAL, *_INJECTION, *_CREAM, *_DROPS)),
    ProductLine("EPEP", 0.065, (*_ORAL, *_SYRUP, *_SACHET), season=Season.RESPIRATORY),
    ProductLine("EPEP", 0.045, (*_ORAL, *_NASAL, *_SYRUP), season=Season.ALLERGY),
    ProductLine("DMDM", 0.080, _CARE, ("GASA", "VENDA", "CTA", "APOSITO")),
    ProductLine("DMDM", 0.035, _NEEDLES, ("JGA", "AGUJA", "LANCETA")),
    ProductLine("DMDM", 0.030, _MEASURE, ("BAUMANOMETRO", "GLUCOMETRO", "BASCULA", "OXIMETRO")),
    ProductLine(
        "DMDM", 0.015, _BREATH, ("CUBREBOCAS", "NEBULIZADOR", "MASCARILLA"), Season.RESPIRATORY
    ),
    ProductLine("OO", 0.095, (*_ORAL, *_CREAM, *_DROPS)),
    ProductLine("OO", 0.040, (*_ORAL, *_SYRUP, *_SACHET), season=Season.RESPIRATORY),
    ProductLine("OO", 0.015, (*_ORAL, *_NASAL), season=Season.ALLERGY),
    ProductLine(
        "CACA", 0.080, (*_POWDER, *_SACHET, ("CAPS", ("OMEGA 3", "CALCIO+D", "MULTIVIT"), _TABLETS))
    ),
    ProductLine("33", 0.053, _SKIN),
    ProductLine("33", 0.022, _SUN, ("PROT SOLAR",), Season.SUN),
    ProductLine("22", 0.012, _ORAL),
    ProductLine("R1", 0.008, _PEN),
    ProductLine("11", 0.007, _VIAL),
    ProductLine("GG", 0.007, (*_ORAL, *_SYRUP)),
    ProductLine("RE", 0.003, _VIAL),
    ProductLine("2G", 0.002, _ORAL),
    ProductLine("R3", 0.001, _INJECTION),
)
"""Shares by category are measured (EPEP 50%, DMDM 16%, OO 15%, CACA 8%, 33 7.5%, 22 1.2%, R1 .8%,
11 .7%, RE .3%, R3 below .1%); the lines of a category, and the few generics, are an estimate. The
shares sum to 1."""

STEM_STARTS: Final = (
    "ALVO", "BRINA", "CELDU", "DORMI", "ESTRO", "FLAVI", "GASTU", "HEMBRO", "ISCAL", "JUVA",
    "KERMO", "LUMBA", "MELQUI", "NOVRI", "OXTA", "PULDE", "QUIVO", "RESTU", "SILVU", "TERNA",
    "ULCRI", "VASTO", "XERBI", "ZOLVA",
)  # fmt: skip
STEM_MIDDLES: Final = (
    "BEN", "CRO", "DAL", "FLU", "GRI", "LET", "MAX", "NER", "PRE", "QUEL", "RIM", "STA", "TRO",
    "VEX", "XIM", "ZUR",
)  # fmt: skip
STEM_ENDS: Final = (
    "ADIN", "AMOL", "AXA", "EDRIL", "EFEN", "ENTA", "IBAN", "ICOR", "IDEX", "ILAM", "INOL", "ONAL",
    "OPREL", "OSAN", "UDIN", "ULEX", "UNTA", "UXOL", "YDRA", "YTEC",
)  # fmt: skip
"""A brand is a start, a middle and an end: invented syllables that make 7,680 brands."""

BRAND_VARIANTS: Final = ("", " PLUS", " DUO", " FORTE", "-D", " LP")
"""A brand and a variant name one product; when every pair is taken, a number is added."""

PATRON_NAMES: Final = (
    "San Rafael", "Santa Elena", "San Judas", "Santa Lucía", "San Ángel", "La Esperanza",
    "El Carmen", "Guadalupe", "San Miguel", "Santa Rosa", "La Salud", "Del Pueblo", "San Martín",
    "La Purísima", "Santa Cruz", "Del Ángel",
)  # fmt: skip
ZONE_NAMES: Final = (
    "Centro", "Del Valle", "Jardines", "Las Lomas", "Reforma", "La Joya", "Industrial", "Los Pinos",
    "El Mirador", "Las Flores", "Hidalgo", "Juárez", "Morelos", "La Estación", "Independencia",
    "Bosques",
)  # fmt: skip
"""A counter is named after a patron, a zone and its running number."""
