"""Comparison of two jobs: how many changes are shown, and which parameters differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ipp.jobs.job import Job
from ipp.server.web.formatting import exact

MAX_SHOWN_PRODUCTS: Final = 50
"""Products that rose, and as many that fell, at most: the largest changes of investment."""


def changed_parameters(earlier: Job, later: Job) -> Sequence[tuple[str, str, str]]:
    """Return the label and both formatted values of each parameter that differs."""
    before, after = earlier.parameters.to_labels(), later.parameters.to_labels()
    changed = [label for label in after if before[label] != after[label]]
    return [(label, exact(before[label]), exact(after[label])) for label in changed]
