"""Note which lines of the package are executed; of the standard library alone."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

Notice = Callable[[str, int], None]


def trace_lines(package: str, notice: Notice) -> None:
    """Call ``notice`` with the file, below the folder ``package``, and line of what is executed.

    It hears of every thread that begins later, too.
    """
    start = len(package) + 1

    def trace_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            notice(frame.f_code.co_filename[start:], frame.f_lineno)
        return trace_line

    def trace_call(frame: FrameType, _: str, __: Any) -> Any:
        return trace_line if frame.f_code.co_filename.startswith(package) else None

    threading.settrace(trace_call)
    sys.settrace(trace_call)


def trace_process(package: str, folder: str) -> None:
    """Write the lines of this process to ``folder``, as they come: it may be killed."""
    path = Path(folder, f"{os.getpid()}-{threading.get_native_id()}.txt")
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    known = set[tuple[str, int]]()

    def write_line(file: str, line: int) -> None:
        if (file, line) not in known:
            known.add((file, line))
            os.write(output, f"{file}:{line}\n".encode())

    trace_lines(package, write_line)
    atexit.register(sys.settrace, None)
