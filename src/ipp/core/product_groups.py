"""Groups of categories, and the switch that excludes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REFRIGERATED: Final = frozenset({"R1", "RE", "RD", "RG", "R2", "R3"})
PSYCHOTROPIC: Final = frozenset({"22", "2G"})
SPECIALITY: Final = frozenset({"11"})

BUMP_EXCLUDED: Final = SPECIALITY | PSYCHOTROPIC | REFRIGERATED
"""Categories that the joroba never raises."""


@dataclass(frozen=True, slots=True)
class ProductGroup:
    """A group of categories that a counter's configuration can exclude as a whole.

    A category may be in two groups (2G is a psychotropic and a generic): it is excluded when either
    is.
    """

    name: str
    title: str
    codes: frozenset[str]
    suffix: str = ""

    @property
    def switch_name(self) -> str:
        """Name in code of the group's column in the configurations."""
        return f"include_{self.name}"

    @property
    def switch_label(self) -> str:
        """Heading of the group's column in the configurations."""
        return "incluye_" + self.title.translate(_ACCENT_TABLE)


_ACCENT_TABLE: Final = str.maketrans("áéíóú ", "aeiou_")

PRODUCT_GROUPS: Final[tuple[ProductGroup, ...]] = (
    ProductGroup("refrigerated", "refrigerados", REFRIGERATED),
    ProductGroup("psychotropic", "psicotrópicos", PSYCHOTROPIC),
    ProductGroup("speciality", "especialidades", SPECIALITY),
    ProductGroup("generic", "genéricos", frozenset({"GG"}), suffix="G"),
    ProductGroup("device", "dispositivos médicos", frozenset({"DMDM"})),
    ProductGroup("supplement", "complementos alimenticios", frozenset({"CACA"})),
    ProductGroup("dermatological", "dermatológico", frozenset({"33"})),
    ProductGroup("over_the_counter", "otc", frozenset({"OO"})),
    ProductGroup("branded", "ético patente", frozenset({"EPEP"})),
)
"""The nine groups, in the order of the configuration's switches."""
