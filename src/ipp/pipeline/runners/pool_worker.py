"""What a process of a crew does before it takes its first piece: nothing heavy is imported until then."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

_THREAD_VARIABLES: Final = (
    "POLARS_MAX_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)
"""What tells libraries how many threads to have."""


def initialise_worker() -> None:
    """Make this process one of a crew: of one thread, deaf to Ctrl-C, and gone when the process that began it is."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))  # its neighbours have the other cores
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal tells all: who began this process ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(
            target=_exit_with_parent, args=(parent.sentinel,), name="follow-parent", daemon=True
        ).start()


def run_piece(call: Path, piece: Any) -> Any:
    """What the callable that is pickled in the file ``call`` makes of a piece."""
    return _load_callable(call)(piece)


@lru_cache(maxsize=1)
def _load_callable(call: Path) -> Callable[[Any], Any]:
    made: Callable[[Any], Any] = pickle.loads(call.read_bytes())  # noqa: S301  # who began this process wrote it
    return made


def _exit_with_parent(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
