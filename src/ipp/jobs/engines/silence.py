"""Tell dead workers from living ones without comparing clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Final

_LONGEST_LOOK_SECONDS: Final = 2.0
"""Most seconds of silence that one look adds, however long ago the look before was."""


class SilenceObserver:
    """How long workers have been silent, as this process has watched them.

    A worker is silent once its sign of life has not changed for ``patience`` seconds of watching.
    What clocks say does not matter, theirs or ours; and the time that this process was stopped, or
    the machine asleep, does not count, since the others may have been asleep as well.
    ``monotonic`` returns seconds.
    """

    def __init__(self, patience: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._monotonic = monotonic
        self._looked = monotonic()
        self._seen: dict[str, tuple[Hashable, float]] = {}
        self._lock = threading.Lock()

    def observe(self, signs: Mapping[str, Hashable]) -> None:
        """Take in the sign of life of every worker, by name; those left out are forgotten."""
        with self._lock:
            now = self._monotonic()
            passed = min(now - self._looked, _LONGEST_LOOK_SECONDS)
            self._looked = now
            before = self._seen
            self._seen = {
                name: (sign, before[name][1] + passed)
                if name in before and before[name][0] == sign
                else (sign, 0.0)
                for name, sign in signs.items()
            }

    def is_silent(self, name: str) -> bool:
        """Return whether a worker is silent, by the looks so far."""
        seen = self._seen.get(name)
        return seen is not None and seen[1] > self._patience
