"""Make a stage's process end when its worker does."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading

if sys.platform != "win32":
    import fcntl


def die_with_parent() -> None:
    """Kill this process and its group when the worker ends, whatever they are doing.

    The worker holds the other end of the pipe that is this process's stdin and never writes to it,
    so the pipe closes when the worker ends, however it ends, even before this call. If stdin is not
    a pipe, someone started the process by hand, and nothing is watched.
    """
    # The kernel's parent-death signal reaches only this process: its children would survive.
    try:
        watched = stat.S_ISFIFO(os.fstat(_STDIN).st_mode)
    except OSError:  # closed
        watched = False
    if not watched:
        return
    if sys.platform == "linux":
        # The kernel kills the group itself when the pipe closes, even while a long library call
        # keeps every thread of this process from running.
        fcntl.fcntl(_STDIN, fcntl.F_SETOWN, -os.getpgrp() if _is_group_leader() else os.getpid())
        fcntl.fcntl(_STDIN, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(_STDIN, fcntl.F_SETFL, fcntl.fcntl(_STDIN, fcntl.F_GETFL) | os.O_ASYNC)
    # A thread covers the pipe that closed before this call, and other operating systems.
    threading.Thread(target=_exit_on_closed_stdin, name="die-with-parent", daemon=True).start()


_STDIN = 0


def _is_group_leader() -> bool:
    """Return whether this process leads its group; another group has processes not ours to kill."""
    return os.getpgrp() == os.getpid()


def _exit_on_closed_stdin() -> None:
    while os.read(_STDIN, 1024):
        pass
    if _is_group_leader():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
