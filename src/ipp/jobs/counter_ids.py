"""The ids of mostradores as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ipp.errors import InvalidInputError, name_some

MAX_COUNTERS: Final = 10_000
"""Most ids that one request may list."""

_COUNTER_ID_PATTERN: Final = re.compile(r"\s*0*([1-9][0-9]{0,9})(?:\.0+)?\s*")


def parse_counter_ids(values: Iterable[object]) -> tuple[int, ...]:
    """Read ids as people write them; each counts once, in the order of its first mention.

    Raises `InvalidInputError` for an empty list, for more than `MAX_COUNTERS`, and for what is no id, which
    it names.
    """
    found: dict[int, None] = {}
    wrong: list[str] = []
    for value in values:
        match = _COUNTER_ID_PATTERN.fullmatch(str(value)) if not isinstance(value, bool) else None
        if match:
            found[int(match[1])] = None
        else:
            wrong.append(str(value).strip() or "(vacío)")
    if wrong:
        listed = name_some(wrong, 10)
        raise InvalidInputError(
            f"No son números de mostrador: {listed}.", hint="Son de 1 a 10 dígitos."
        )
    if not found:
        raise InvalidInputError(
            "La lista de mostradores está vacía.", hint="Indique al menos uno, o pídalos todos."
        )
    if len(found) > MAX_COUNTERS:
        raise InvalidInputError(
            f"Son {len(found):,} mostradores y caben {MAX_COUNTERS:,} por proceso.",
            hint="Divida la lista.",
        )
    return tuple(found)
