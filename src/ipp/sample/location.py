"""Locations and sizes of the chain's counters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

import numpy as np

from ipp.sample import sample_parameters
from ipp.sample.calendar import Floats, Ints

_GOLDEN_RATIO = 0.6180339887498949
"""Its multiples modulo 1 are a low-discrepancy sequence: adding a counter moves no other one."""


class RandomStream(IntEnum):
    """Keys of the random streams; a counter's own key is its mostrador, far above these."""

    CATALOGUE = 1
    PLACES = 2
    AREA = 3


class SideStream(IntEnum):
    """Keys of a counter's further streams; 0 would repeat the numbers of its sales."""

    PAPERWORK = 1


def random_stream(seed: int, *which: int) -> np.random.Generator:
    """Return the random generator of one part of the chain, independent of the other parts."""
    return np.random.default_rng([seed, *which])


@dataclass(frozen=True, slots=True)
class CounterLocations:
    """Locations, one counter an element, ascending by mostrador; the mean ``size`` is 1."""

    mostrador: Ints
    area: Ints
    postal_code: Ints
    size: Floats


def draw_locations(counters: int, seed: int) -> CounterLocations:
    """Draw ``counters`` counters; the first ones do not depend on how many follow."""
    rng = random_stream(seed, RandomStream.PLACES)
    offset, first_code = rng.random(2)
    number = np.arange(counters)
    low, high = sample_parameters.AREA_COUNTERS
    # One draw a counter is at least one an area; a longer draw begins like a shorter one, so the
    # first areas stay the same. Areas of 3, 4, … end before counters 3, 7, …: searchsorted gives
    # area 0 to counters 0-2 and area 1 to counters 3-6.
    in_area = low + (rng.random(counters) * (high - low + 1)).astype(np.int64)
    area = np.searchsorted(np.cumsum(in_area), number, side="right")
    start, codes = sample_parameters.POSTAL_CODES
    rank = (offset + number * _GOLDEN_RATIO) % 1.0
    normal = NormalDist()
    spread = sample_parameters.COUNTER_SPREAD
    return CounterLocations(
        mostrador=sample_parameters.FIRST_MOSTRADOR + number,
        area=area,
        postal_code=start
        + (int(first_code * codes) + area * sample_parameters.POSTAL_STEP) % codes,
        size=np.exp(
            np.array([spread * normal.inv_cdf(max(r, 1e-9)) for r in rank.tolist()]) - spread**2 / 2
        ),
    )
