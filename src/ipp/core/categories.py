"""Which group of products a category belongs to, and the switch that leaves the group out: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

REFRIGERATED: Final = frozenset({"R1", "RE", "RD", "RG", "R2", "R3"})
PSYCHOTROPIC: Final = frozenset({"22", "2G"})
SPECIALITY: Final = frozenset({"11"})

BUMP_EXCLUDED: Final = SPECIALITY | PSYCHOTROPIC | REFRIGERATED
"""Categories the joroba leaves alone."""


def code(category: str) -> pl.Expr:
    """The column ``category`` as it is compared: trimmed, upper case."""
    return pl.col(category).cast(pl.String).str.strip_chars().str.to_uppercase()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of categories that a counter's configuration can leave out as a whole.

    A category may be in two groups (2G is a psychotropic and a generic): it is left out when either is.
    """

    name: str
    title: str
    codes: frozenset[str]
    suffix: str = ""

    @property
    def switch(self) -> str:
        """The configuration's column, as people know it."""
        return "incluye_" + self.title.translate(_PLAIN)

    def holds(self, category: str) -> pl.Expr:
        """True where the column ``category`` is one of the group's codes; an empty category is in no group."""
        inside = code(category).is_in(sorted(self.codes))
        if self.suffix:
            inside = inside | code(category).str.ends_with(self.suffix)
        return inside.fill_null(value=False)


_PLAIN: Final = str.maketrans("áéíóú ", "aeiou_")

GROUPS: Final[tuple[Group, ...]] = (
    Group("refrigerated", "refrigerados", REFRIGERATED),
    Group("psychotropic", "psicotrópicos", PSYCHOTROPIC),
    Group("speciality", "especialidades", SPECIALITY),
    Group("generic", "genéricos", frozenset({"GG"}), suffix="G"),
    Group("device", "dispositivos médicos", frozenset({"DMDM"})),
    Group("supplement", "complementos alimenticios", frozenset({"CACA"})),
    Group("dermatological", "dermatológico", frozenset({"33"})),
    Group("over_the_counter", "otc", frozenset({"OO"})),
    Group("branded", "ético patente", frozenset({"EPEP"})),
)
"""The nine groups, in the order of the configuration's switches."""


def exclusion(category: str, switches: Mapping[str, bool]) -> pl.Expr:
    """Name the first group that holds ``category`` and is switched off; null where the product stays in.

    ``switches`` maps a group's name to whether it is included; a group that is not named is.
    """
    off = [group for group in GROUPS if not switches.get(group.name, True)]
    first = pl.lit(None, dtype=pl.String)
    for group in reversed(off):
        first = pl.when(group.holds(category)).then(pl.lit(group.title)).otherwise(first)
    return first
