"""Name a process of this machine beyond its number, to end it once it must not act any more."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC_FOLDER: Final = Path("/proc")

_START_TIME_FIELD: Final = 19
"""Position of the start time in ``/proc/PID/stat``, behind the command's name (proc(5): 22)."""

_STATE_FIELD: Final = 0

_DEAD_STATES: Final = frozenset({"Z", "X"})

_DEATH_TIMEOUT_SECONDS: Final = 10.0
"""Seconds to wait for a killed process: a call of the kernel ends first."""


def own_identity() -> str:
    """Return the identity of this process; empty where the operating system has no ``/proc``.

    A number alone is not enough: others use it after the process, or in another container.
    """
    return _identity(os.getpid())


def process_place() -> str:
    """Return where this process's number counts: its host and, on Linux, its PID namespace.

    Containers may share the host's name, and have other processes under the same numbers.
    """
    host = socket.gethostname()
    with suppress(OSError):
        return f"{host}/{_pid_namespace()}"
    return host


def end_process(identity: str) -> None:
    """Kill a process and, if it leads one, its group; do nothing unless it is of this machine.

    Even a process that is stopped or asleep does nothing more once this returns.
    """
    number = identity.rpartition(":")[0].rpartition(":")[2]
    if not number.isdecimal() or _identity(int(number)) != identity:
        return
    pid = int(number)
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    give_up = time.monotonic() + _DEATH_TIMEOUT_SECONDS
    while _identity(pid) == identity and time.monotonic() < give_up:
        time.sleep(0.01)


def _identity(pid: int) -> str:
    """Return ``boot:namespace:pid:start`` of a living process; empty if there is none."""
    try:
        boot = (_PROC_FOLDER / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = _pid_namespace()
        stat = (_PROC_FOLDER / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(") ")[2].split()
    if fields[_STATE_FIELD] in _DEAD_STATES:
        return ""
    return f"{boot}:{namespace}:{pid}:{fields[_START_TIME_FIELD]}"


def _pid_namespace() -> str:
    """Return the number of this process's PID namespace. Raises OSError without ``/proc``."""
    return (_PROC_FOLDER / "self/ns/pid").readlink().name.strip("pid:[]")
