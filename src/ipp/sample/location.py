"""Where the counters of the chain are and how large: what is known before a day is sold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

import numpy as np

from ipp.sample import sample_parameters
from ipp.sample.calendar import Floats, Ints

_GOLDEN_RATIO = 0.6180339887498949
"""Steps of this part of a whole spread any number of points evenly, and a further one moves none."""


class RandomStream(IntEnum):
    """Which numbers are drawn; a counter's own come from (seed, mostrador), far above these."""

    CATALOGUE = 1
    PLACES = 2
    AREA = 3


class SideStream(IntEnum):
    """What else is drawn for a counter beside its sales; 0 would be the sales' own numbers again."""

    PAPERWORK = 1


def random_stream(seed: int, *which: int) -> np.random.Generator:
    """The random numbers of one part of the chain, the same whatever the other parts are."""
    return np.random.default_rng([seed, *which])


@dataclass(frozen=True, slots=True)
class CounterLocations:
    """One counter an element, ascending by mostrador; ``size`` is 1 for the average counter."""

    mostrador: Ints
    area: Ints
    postal_code: Ints
    size: Floats


def draw_locations(counters: int, seed: int) -> CounterLocations:
    """Lay out ``counters`` counters; the first ones are the same however many follow."""
    rng = random_stream(seed, RandomStream.PLACES)
    offset, first_code = rng.random(2)
    number = np.arange(counters)
    low, high = sample_parameters.AREA_COUNTERS
    # One draw a counter is more than there are areas, and a longer draw begins like a shorter one.
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
