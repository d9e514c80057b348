"""Parse the ids of mostradores as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ipp.errors import InvalidInputError, name_some

MAX_COUNTERS: Final = 10_000
"""Maximum number of ids that one request may list."""

_COUNTER_ID_PATTERN: Final = re.compile(r"\s*0*([1-9][0-9]{0,9})(?:\.0+)?\s*")


def parse_counter_ids(values: Iterable[object]) -> tuple[int, ...]:
    """Return the ids in ``values``, without duplicates, in order of first mention.

    Raises `InvalidInputError` for an empty list, for more than `MAX_COUNTERS`, and for values that
    are not ids, which it names.
    """
    counters: dict[int, None] = {}
    wrong: list[str] = []
    for value in values:
        match = _COUNTER_ID_PATTERN.fullmatch(str(value)) if not isinstance(value, bool) else None
        if match:
            counters[int(match[1])] = None
        else:
            wrong.append(str(value).strip() or "(vacío)")
    if wrong:
        listed = name_some(wrong, 10)
        raise InvalidInputError(
            f"No son números de mostrador: {listed}.", hint="Son de 1 a 10 dígitos."
        )
    if not counters:
        raise InvalidInputError(
            "La lista de mostradores está vacía.", hint="Indique al menos uno, o pídalos todos."
        )
    if len(counters) > MAX_COUNTERS:
        raise InvalidInputError(
            f"Son {len(counters):,} mostradores y caben {MAX_COUNTERS:,} por proceso.",
            hint="Divida la lista.",
        )
    return tuple(counters)
