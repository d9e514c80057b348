"""What a stage's process does so as not to outlive its worker."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading

if sys.platform != "win32":
    import fcntl


def die_with_parent() -> None:
    """From now on, the end of the worker is the end of this process and of its group, whatever they are doing.

    The worker holds the other end of the pipe that is this process's stdin and never writes: the pipe ends when
    the worker does, however it does, and also where it ended before this was called. Where stdin is no pipe,
    someone started the process by hand, and nothing is watched.
    """
    # The kernel's own signal for the death of a parent reaches this process alone: its children would be left.
    try:
        watched = stat.S_ISFIFO(os.fstat(_STDIN).st_mode)
    except OSError:  # closed
        watched = False
    if not watched:
        return
    if sys.platform == "linux":
        # The kernel ends the group by itself when the pipe ends, even while one long call of a library keeps every
        # thread here from running.
        fcntl.fcntl(_STDIN, fcntl.F_SETOWN, -os.getpgrp() if _is_group_leader() else os.getpid())
        fcntl.fcntl(_STDIN, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(_STDIN, fcntl.F_SETFL, fcntl.fcntl(_STDIN, fcntl.F_GETFL) | os.O_ASYNC)
    # Where it had ended before, and on other systems, a thread finds out.
    threading.Thread(target=_exit_on_closed_stdin, name="die-with-parent", daemon=True).start()


_STDIN = 0


def _is_group_leader() -> bool:
    """Whether the group is this process's own; another's has processes that no worker started."""
    return os.getpgrp() == os.getpid()


def _exit_on_closed_stdin() -> None:
    while os.read(_STDIN, 1024):
        pass
    if _is_group_leader():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
