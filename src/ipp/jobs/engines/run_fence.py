"""The fence of a stage: it writes only while its claim is the run's last."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from typing_extensions import override

from ipp.errors import UnavailableError
from ipp.jobs.engines.process_identity import own_identity
from ipp.jobs.engines.run_table import RunTable
from ipp.storage.fence import Fence, SupersededError

_LOG: Final = logging.getLogger("ipp.jobs.engines")

_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class RunFence(Fence):
    """The `Fence` of a run's claim ``number`` in the runs' file at ``path``."""

    path: Path
    run_id: str
    number: int

    @property
    @override
    def writer(self) -> str:
        return self.run_id

    @override
    def check_held(self) -> None:
        """Raise `SupersededError` if another worker took the run over, `UnavailableError`."""
        if not _run_table(self.path).is_held(self.run_id, self.number):
            raise _superseded_error()

    def register_process(self) -> None:
        """Name this process in the run, so that the next worker can kill it before it starts.

        Until then it must not write anything. While the file cannot be written it is tried again:
        its worker, which cannot write either, ends it after a while. Raises `SupersededError`.
        """
        identity = own_identity()
        while True:
            try:
                held = _run_table(self.path).register_process(self.run_id, self.number, identity)
            except UnavailableError as error:
                _LOG.warning("run %s: not registered yet: %s", self.run_id, error)
                time.sleep(_RETRY_SECONDS)
            else:
                break
        if not held:
            raise _superseded_error()


@lru_cache(maxsize=4)
def _run_table(path: Path) -> RunTable:
    """Return the runs at ``path``, whose connections a process keeps."""
    return RunTable(path)


def _superseded_error() -> SupersededError:
    return SupersededError(
        "Otro trabajador se hizo cargo de esta etapa.", hint="El proceso sigue sin éste."
    )
