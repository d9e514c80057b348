"""Products of one mostrador as the model meets them, for property tests."""

from __future__ import annotations

import polars as pl
from hypothesis import strategies as st

from ipp.core.traditional.normalise import normalise_products

CATEGORIES = ("EPEP", "DMDM", "OO", "CACA", "33", "22", "2G", "R1", "11", "GG", None)


@st.composite
def _product(draw: st.DrawFn) -> dict[str, object]:
    year = draw(st.integers(0, 200) | st.just(0))
    return {
        "category": draw(st.sampled_from(CATEGORIES)),
        "price": draw(st.none() | st.integers(0, 400_000).map(lambda cents: cents / 100)),
        "area_demand": float(draw(st.integers(0, 60) | st.integers(0, 800) | st.just(0))),
        "sales_365d": float(year),
        "sales_90d": float(draw(st.integers(0, year))),
        "inner_pack": draw(st.none() | st.integers(1, 30)),
    }


@st.composite
def raw_products(draw: st.DrawFn, *, least: int = 1, most: int = 60) -> pl.DataFrame:
    """Rows with what the normaliser takes, materials 1 … n."""
    rows = draw(st.lists(_product(), min_size=least, max_size=most))
    schema = {
        "category": pl.String, "price": pl.Float64, "area_demand": pl.Float64,
        "sales_365d": pl.Float64, "sales_90d": pl.Float64, "inner_pack": pl.Int64,
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema)
    return frame.with_columns(material=pl.int_range(1, len(frame) + 1, dtype=pl.Int64))


@st.composite
def products(draw: st.DrawFn, *, least: int = 1, most: int = 60) -> pl.DataFrame:
    """Normalised rows, as the factor step takes them."""
    raw = draw(raw_products(least=least, most=most))
    ratio = draw(st.integers(0, 1_000_000)) / 1_000_000
    return normalise_products(raw.with_columns(ratio=pl.lit(ratio)), cover_days=21)
