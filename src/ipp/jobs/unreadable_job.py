"""Stored jobs that this release cannot read; the others go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sized
from typing import Final

from typing_extensions import override

from ipp.errors import IppError

_LOG: Final = logging.getLogger("ipp.jobs")


class UnreadableJobError(IppError):
    """A job is stored in a way that this release does not understand.

    ``owner`` is None if the stored job does not name one.
    """

    code = "proceso_ilegible"

    def __init__(self, job_id: str, owner: str | None) -> None:
        super().__init__(
            f"El proceso {job_id} está guardado de una manera que esta versión de IPP no entiende.",
            hint="Avise a quien opera IPP: la versión que lo guardó sí lo lee. "
            "O empiece otro proceso igual.",
        )
        self.job_id = job_id
        self.owner = owner


class UnreadableJobs(Sized):
    """The ids of the jobs that a store could not read, each logged once. Thread-safe."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    @override
    def __len__(self) -> int:
        return len(self._ids)

    def record_error(self, error: UnreadableJobError) -> None:
        """Count and log a job, unless it has been recorded already."""
        with self._lock:
            if error.job_id in self._ids:
                return
            self._ids.add(error.job_id)
        _LOG.error("job %s cannot be read: %r", error.job_id, error.__cause__)

    def reset_count(self) -> None:
        """Forget the recorded ids and count from zero."""
        with self._lock:
            self._ids.clear()
