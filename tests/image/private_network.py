"""A network of this process's own, in which the image's port is free and nobody else listens."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET, sched.h."""

_SET_FLAGS: Final = 0x8914
"""SIOCSIFFLAGS, linux/sockios.h."""

_UP: Final = 0x1
"""IFF_UP, net/if.h."""


@contextmanager
def private_network() -> Iterator[None]:
    """Let this thread, and what it starts, have loopback and nothing else while the block lasts.

    Raises OSError where the process may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        if libc.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            _raise_loopback()
            yield
        finally:
            libc.setns(before.fileno(), _NEW_NETWORK)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
