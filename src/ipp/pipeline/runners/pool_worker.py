"""Pool worker process: set-up and tasks, without heavy imports before the first task."""

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

from ipp.pipeline.runners import frame_pickle

_THREAD_VARIABLES: Final = (
    "POLARS_MAX_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)
"""Environment variables that set the number of threads of the libraries."""


def initialise_worker() -> None:
    """Make this process a pool worker: single-threaded, ignores SIGINT, exits with its parent."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))  # Other workers use the other cores.
    # A terminal sends SIGINT to the whole process group; the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(
            target=_exit_with_parent, args=(parent.sentinel,), name="follow-parent", daemon=True
        ).start()


def confirm_start() -> None:
    """Do nothing; that this call returns shows that a process has started."""


def run_piece(call: Path, piece: bytes) -> bytes:
    """Apply the callable pickled in the file ``call`` to a piece; both pass by `frame_pickle`."""
    return frame_pickle.dump(_load_callable(call)(frame_pickle.load(piece)), call.parent)


@lru_cache(maxsize=1)
def _load_callable(call: Path) -> Callable[[Any], Any]:
    content = call.read_bytes()
    function: Callable[[Any], Any] = pickle.loads(content)  # noqa: S301  # our parent wrote it
    return function


def _exit_with_parent(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
