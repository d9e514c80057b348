"""How a process that is up for weeks keeps the memory that it works in together."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Final

_M_ARENA_MAX: Final = -8
"""What glibc's ``malloc.h`` calls the most arenas there may be."""
_ARENA_COUNT: Final = 2

_JEMALLOC_VARIABLE: Final = "_RJEM_MALLOC_CONF"
"""Where the jemalloc that Polars and delta-rs each bring with them looks for its settings, once, when it is loaded."""


@contextlib.contextmanager
def limit_arenas() -> Iterator[None]:
    """Have all threads, and the libraries that are loaded in the block, share two arenas; a setting that is made stays.

    By themselves glibc has eight for every core and jemalloc four, and a cache for each thread. Threads that read
    tables come and go by the dozen and leave theirs in pieces: a server grew by a fifth in half an hour of the same
    work. Where memory comes from elsewhere nothing is done.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENA_COUNT)
    if _JEMALLOC_VARIABLE in os.environ:
        yield
        return
    os.environ[_JEMALLOC_VARIABLE] = f"narenas:{_ARENA_COUNT},tcache:false"
    try:
        yield
    finally:
        del os.environ[
            _JEMALLOC_VARIABLE
        ]  # stages, which are processes of ours, have few threads and little time
