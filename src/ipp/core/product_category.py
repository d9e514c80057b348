"""Membership of categories in product groups, and exclusion by the groups' switches."""

from __future__ import annotations

import polars as pl

from ipp.core.product_groups import PRODUCT_GROUPS, ProductGroup


def normalise_category(category: str) -> pl.Expr:
    """Return the column ``category`` trimmed and in upper case, for comparisons."""
    return pl.col(category).cast(pl.String).str.strip_chars().str.to_uppercase()


def _group_contains(group: ProductGroup, category: str) -> pl.Expr:
    """Return true where the column ``category`` is in ``group``; an empty category is in none."""
    inside = normalise_category(category).is_in(sorted(group.codes))
    if group.suffix:
        inside = inside | normalise_category(category).str.ends_with(group.suffix)
    return inside.fill_null(value=False)


def find_excluded_group(category: str) -> pl.Expr:
    """Return the title of the first group of ``category`` that is switched off, or null.

    Reads the column of each group's switch (`ProductGroup.switch_name`); null is on.
    """
    first = pl.lit(None, dtype=pl.String)
    # The outermost ``when`` wins, so the first group must be added last.
    for group in reversed(PRODUCT_GROUPS):
        off = pl.col(group.switch_name).fill_null(value=True).not_()
        first = (
            pl.when(off & _group_contains(group, category))
            .then(pl.lit(group.title))
            .otherwise(first)
        )
    return first
