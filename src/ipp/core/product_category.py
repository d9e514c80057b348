"""Which group of products a category belongs to, and what is left out by the groups' switches."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ipp.core.product_groups import PRODUCT_GROUPS, ProductGroup


def normalise_category(category: str) -> pl.Expr:
    """The column ``category`` as it is compared: trimmed, upper case."""
    return pl.col(category).cast(pl.String).str.strip_chars().str.to_uppercase()


def _group_contains(group: ProductGroup, category: str) -> pl.Expr:
    """True where the column ``category`` is one of the group's codes; an empty category is in no group."""
    inside = normalise_category(category).is_in(sorted(group.codes))
    if group.suffix:
        inside = inside | normalise_category(category).str.ends_with(group.suffix)
    return inside.fill_null(value=False)


def find_excluded_group(category: str, switches: Mapping[str, bool]) -> pl.Expr:
    """Name the first group that holds ``category`` and is switched off; null where the product stays in.

    ``switches`` maps a group's name to whether it is included; a group that is not named is.
    """
    off = [group for group in PRODUCT_GROUPS if not switches.get(group.name, True)]
    first = pl.lit(None, dtype=pl.String)
    for group in reversed(off):
        first = pl.when(_group_contains(group, category)).then(pl.lit(group.title)).otherwise(first)
    return first
