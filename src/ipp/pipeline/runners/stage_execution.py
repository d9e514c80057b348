"""One execution of a stage: the counters to compute, their progress and failures."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from ipp.core.tables import FAILURES
from ipp.errors import IppError

ReportCounter = Callable[[int], None]
"""Callback with each counter that finishes or fails."""

_MAX_CAUSE_CHARACTERS: Final = 500
"""Longest stored cause of a counter's failure."""


@dataclass(frozen=True, slots=True)
class CounterFailure:
    """The ``stage`` in which a counter failed, and the ``cause``, in Spanish."""

    stage: str
    cause: str


class AllFailedError(IppError):
    """Every counter of the job failed."""

    code = "mostradores_fallidos"


@dataclass(frozen=True, slots=True)
class StageExecution:
    """A ``stage`` being computed for the counters ``asked``: all of the job's, or those it retries.

    ``failures`` holds the failures of this stage and of earlier ones.
    """

    job_id: str
    stage: str
    mostradores: tuple[int, ...]
    asked: Collection[int]
    progress: ReportCounter
    failures: dict[int, CounterFailure] = field(default_factory=dict)

    @property
    def counters_to_compute(self) -> list[int]:
        """The counters to compute, in the order of the job."""
        return [mostrador for mostrador in self.mostradores if self.is_recomputed(mostrador)]

    @property
    def counters_to_keep(self) -> list[int]:
        """The counters with rows, computed in this run or an earlier one, in the job's order."""
        return [mostrador for mostrador in self.mostradores if mostrador not in self.failures]

    def is_recomputed(self, mostrador: int) -> bool:
        """Return True if this run computes the counter."""
        return mostrador in self.asked and mostrador not in self.failures

    def record_failure(self, mostrador: int, cause: str) -> None:
        """Record a counter's failure; the others continue."""
        self.failures[mostrador] = CounterFailure(self.stage, cause[:_MAX_CAUSE_CHARACTERS])
        self.progress(mostrador)

    def failures_frame(self) -> pl.DataFrame:
        """Return the failures as rows of `ipp.core.tables.FAILURES`."""
        rows = [
            (self.job_id, m, failure.stage, failure.cause)
            for m, failure in sorted(self.failures.items())
        ]
        return pl.DataFrame(rows, schema=FAILURES.schema, orient="row")

    def check_any_left(self) -> None:
        """Raise `AllFailedError` if every counter failed."""
        if self.counters_to_keep:
            return
        mostrador, failure = min(self.failures.items())
        count = len(self.failures)
        raise AllFailedError(
            f"Falló el mostrador {mostrador}: {failure.cause}"
            if count == 1
            else f"Fallaron los {count:,} mostradores. El {mostrador}: {failure.cause}",
            hint="Corrija la causa y empiece el proceso otra vez.",
        )
