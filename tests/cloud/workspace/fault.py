"""Faults of a network and a busy service: before a request is done, or after, its answer lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What happens to a request whose path ``path`` is found in.

    ``kind`` is ``drop`` (no answer), ``cut`` (half an answer), ``status`` (an error with ``status``
    and, where it is not None, a Retry-After of ``retry_after`` seconds) or ``slow`` (the answer,
    after ``seconds``). ``after`` tells that what was asked is done all the same. It happens to
    ``times`` requests.
    """

    kind: str
    after: bool = False
    path: str = ""
    status: int = 503
    retry_after: float | None = None
    seconds: float = 0.0
    times: int = 1

    def fits(self, path: str) -> bool:
        return re.search(self.path, path) is not None


@dataclass(frozen=True)
class Weather:
    """Faults at a rate: each request whose path contains ``path`` has one with that probability."""

    seed: int
    rate: float
    faults: Sequence[Fault]
    path: str = ""


class Faults:
    """The faults to come: a script's first, then the weather's. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []
        self._weather: Weather | None = None
        self._random = Random(0)

    def add(self, faults: Sequence[Fault]) -> None:
        with self._lock:
            self._script.extend(faults)

    def set(self, weather: Weather | None) -> None:
        """From now on this weather; none, and no script either, where it is None."""
        with self._lock:
            self._weather = weather
            if weather is None:
                self._script.clear()
            else:
                self._random = Random(weather.seed)

    def next(self, path: str) -> Fault | None:
        """What happens to a request for ``path``, once asked."""
        with self._lock:
            for place, fault in enumerate(self._script):
                if fault.fits(path):
                    left = replace(fault, times=fault.times - 1)
                    self._script[place : place + 1] = [left] if left.times else []
                    return fault
            weather = self._weather
            if (
                weather is None
                or not re.search(weather.path, path)
                or self._random.random() >= weather.rate
            ):
                return None
            fitting = [fault for fault in weather.faults if fault.fits(path)]
            return self._random.choice(fitting) if fitting else None


def weather_of(content: Mapping[str, Any]) -> Weather:
    return Weather(**{**content, "faults": [Fault(**fault) for fault in content["faults"]]})
