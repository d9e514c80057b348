"""Waits for other processes: each ends once its condition holds, and fails only after minutes.

A machine that is busy with something else is no fault of what is tested.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeVar

PATIENCE_SECONDS: Final = 300.0
"""How long a test waits for what should happen within a moment."""

_PAUSE_SECONDS: Final = 0.02

Seen = TypeVar("Seen")


def wait_until(
    look: Callable[[], Seen], enough: Callable[[Seen], bool], seconds: float = PATIENCE_SECONDS
) -> Seen:
    """Look until what is seen is enough, and return it."""
    give_up = time.monotonic() + seconds
    while not enough(seen := look()):
        assert time.monotonic() < give_up, f"still {seen} after {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)
    return seen


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop_outside_writes(pid: int, database: Path) -> None:
    """Stop a process (SIGSTOP) at a moment when it does not write to an SQLite file.

    Stopped within a transaction it would keep everyone else from writing until it goes on.
    """

    def stop() -> bool:
        os.kill(pid, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(database, timeout=1.0, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            return False
        return True

    wait_until(stop, bool)


def wait_for_line(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    """Return the first group of ``pattern`` once it is in ``log``, which ``process`` writes to."""

    def said() -> re.Match[str] | None:
        ended = process.poll() is not None
        found = re.search(pattern, log.read_text(errors="replace"))
        assert found or not ended, f"it ended: {log.read_text(errors='replace')}"
        return found

    found = wait_until(said, bool)
    assert found is not None
    return found[1]


def end_process(process: subprocess.Popen[Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Ask a process to end; kill it where it does not within so many seconds."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
