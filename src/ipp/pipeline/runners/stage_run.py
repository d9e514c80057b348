"""What a stage is to do: which mostradores, and what becomes of each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from ipp.core.tables import FAILURES
from ipp.errors import IppError

ReportCounter = Callable[[int], None]
"""Called with each mostrador as it is done, or given up."""

_MAX_CAUSE_CHARACTERS: Final = 500
"""Characters that are kept of why a mostrador failed."""


@dataclass(frozen=True, slots=True)
class CounterFailure:
    """The ``stage`` in which a mostrador was given up, and the ``cause``, in Spanish."""

    stage: str
    cause: str


class AllFailedError(IppError):
    """A stage has no mostrador left."""

    code = "mostradores_fallidos"


@dataclass(frozen=True, slots=True)
class StageRun:
    """A ``stage`` of a job of ``mostradores``, for those ``asked``: all of them, or those that failed the last time.

    ``failures`` are those of this run, in this stage and in the ones before.
    """

    job_id: str
    stage: str
    mostradores: tuple[int, ...]
    asked: Collection[int]
    progress: ReportCounter
    failures: dict[int, CounterFailure] = field(default_factory=dict)

    @property
    def counters_to_compute(self) -> list[int]:
        """Those to compute, in the order of the job."""
        return [mostrador for mostrador in self.mostradores if self.is_recomputed(mostrador)]

    @property
    def counters_to_keep(self) -> list[int]:
        """Those that the stage leaves rows of, in the order of the job: computed now, or the last time."""
        return [mostrador for mostrador in self.mostradores if mostrador not in self.failures]

    def is_recomputed(self, mostrador: int) -> bool:
        """Whether a mostrador is computed now."""
        return mostrador in self.asked and mostrador not in self.failures

    def record_failure(self, mostrador: int, cause: str) -> None:
        """Give a mostrador up; the others go on."""
        self.failures[mostrador] = CounterFailure(self.stage, cause[:_MAX_CAUSE_CHARACTERS])
        self.progress(mostrador)

    def failures_frame(self) -> pl.DataFrame:
        """The failures as rows of `ipp.core.tables.FAILURES`."""
        rows = [
            (self.job_id, m, failure.stage, failure.cause)
            for m, failure in sorted(self.failures.items())
        ]
        return pl.DataFrame(rows, schema=FAILURES.schema, orient="row")

    def check_any_left(self) -> None:
        """Raise `AllFailedError` where no mostrador is left."""
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
