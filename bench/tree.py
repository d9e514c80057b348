"""A process with all its children, from outside: their memory together, and when it said what.

Needs Linux, whose /proc is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

EVERY: Final = 0.05
"""Seconds between two looks at the memory."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Ran:
    """What a process took: seconds, peak MB, and the first and last sign of life of each step.

    The memory is the sum of what is resident of the process and of its children, so that what two
    of them share counts twice: never less than what it took.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    processes: int = 0
    begun: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)


def run_tree(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> Ran:
    """Run a process to its end, stdout into ``output``; read progress from stderr's JSON lines."""
    ran, start = Ran(), time.perf_counter()
    child = subprocess.Popen(
        command, env=os.environ | dict(environment), stdout=output, stderr=subprocess.PIPE
    )
    said: deque[str] = deque(maxlen=20)
    listener = threading.Thread(target=_listen, args=(child, ran, said, start), daemon=True)
    listener.start()
    while child.poll() is None:
        pages = [_resident(pid) for pid in _tree(child.pid)]
        ran.megabytes = max(ran.megabytes, sum(pages) * _PAGE / 2**20)
        ran.processes = max(ran.processes, len(pages))
        with suppress(subprocess.TimeoutExpired):
            child.wait(EVERY)
    ran.seconds = time.perf_counter() - start
    listener.join()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}\n" + "\n".join(said))
    return ran


def _listen(child: subprocess.Popen[bytes], ran: Ran, said: deque[str], start: float) -> None:
    assert child.stderr is not None
    for line in child.stderr:
        now = time.perf_counter() - start
        said.append(line.decode().rstrip())
        with suppress(
            json.JSONDecodeError, KeyError, TypeError
        ):  # else it is a warning or an error, kept in ``said``
            step = json.loads(line)["etapa"]
            ran.begun.setdefault(step, now)
            ran.last[step] = now


def _tree(pid: int) -> Iterator[int]:
    """The process and everything it started that lives."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ended meanwhile
            for child in task.read_text().split():
                yield from _tree(int(child))


def _resident(pid: int) -> int:
    """Pages of memory; none of a process that has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return 0
