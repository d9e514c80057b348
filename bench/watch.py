"""A server's memory, files and threads, and its stages' memory, from outside: do they grow?

Needs Linux, whose /proc is read.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measure import show

FLAT = 1.05
"""What the last third may be of the first."""
EVERY = 0.25
"""Seconds between two looks: a stage lives for one or two."""

Timed = Sequence[tuple[float, float]]
"""Figures, each with the moment it is of."""


class Look(NamedTuple):
    """The server at a moment: resident memory in MB, open files, threads."""

    moment: float
    megabytes: float
    files: int
    threads: int


class Peak(NamedTuple):
    """The most memory, in MB, that a stage's process was seen to have had."""

    moment: float
    stage: str
    megabytes: float


class Watch(threading.Thread):
    """Looks at a process and at its children, from outside."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.looks: list[Look] = []
        self.peaks: dict[tuple[str, ...], Peak] = {}

    def run(self) -> None:
        while not self._over.wait(EVERY):
            with suppress(OSError):  # the server has ended, which is told elsewhere
                self._look()

    def stop(self) -> None:
        self._over.set()
        self.join(10)

    def opened(self) -> Counter[str]:
        """What the server has open just now, by kind."""
        found: Counter[str] = Counter()
        for entry in Path(f"/proc/{self._pid}/fd").iterdir():
            with suppress(OSError):
                target = str(entry.readlink())
                found[target.partition(":")[0] if ":" in target else Path(target).name] += 1
        return found

    def running(self) -> Counter[str]:
        """The server's threads just now, by the name that whoever made them gave them."""
        found: Counter[str] = Counter()
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with suppress(OSError):
                found[(task / "comm").read_text().strip().rstrip("0123456789-")] += 1
        return found

    def _look(self) -> None:
        now, stands = time.monotonic(), _status(self._pid)
        files = sum(1 for _ in Path(f"/proc/{self._pid}/fd").iterdir())
        self.looks.append(Look(now, stands["VmRSS"] / 1024, files, stands["Threads"]))
        for task in Path(f"/proc/{self._pid}/task").glob("*/children"):
            with suppress(OSError, KeyError):  # it ended meanwhile
                for child in task.read_text().split():
                    command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
                    if (
                        "ipp.entrypoints.stage" in command
                    ):  # else it is still the server's, on its way to become a stage's
                        stage, job_id = command[command.index("ipp.entrypoints.stage") + 1 :][:2]
                        peak = Peak(now, stage, _status(int(child))["VmHWM"] / 1024)
                        self.peaks[child, stage, job_id] = peak


def _status(pid: int) -> dict[str, int]:
    """The numbers of /proc/PID/status; memory in KB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        words[0].rstrip(":"): int(words[1])
        for words in lines
        if len(words) > 1 and words[1].isdecimal()
    }


class Verdict:
    """Shows figures beside their targets and remembers what was missed."""

    def __init__(self, begun: float, minutes: float) -> None:
        self._begun = begun
        self._seconds = minutes * 60
        self.missed: list[str] = []

    def none(self, what: str, found: Sequence[object], beside: str = "") -> None:
        """A figure that must be 0; what was found besides is shown, the first of it."""
        show(what, len(found), "", {"target": 0}, beside, digits=0)
        for one in found[:5]:
            print(f"    {one}")
        self.missed += [what] if found else []

    def flat(self, what: str, unit: str, seen: Timed) -> None:
        """The median of the last third beside that of the first."""
        first, last = self._median(seen, 0, 3), self._median(seen, 2, 3)
        show(what, last, unit, {"first third": first, "target": first * FLAT})
        self.missed += [] if last <= first * FLAT else [what]  # what was never seen is missed too

    def told(self, what: str, unit: str, seen: Timed) -> None:
        """The same without a target."""
        first, last = self._median(seen, 0, 3), self._median(seen, 2, 3)
        show(what, last, unit, {"first third": first}, f"{len(seen):,} seen; no target")

    def course(self, what: str, unit: str, seen: Timed) -> None:
        """The medians of the tenths, one after another."""
        print(
            f"{what}, by tenths:"
            f" {', '.join(f'{self._median(seen, n, 10):,.0f}' for n in range(10))} {unit}"
        )

    def _median(self, seen: Timed, part: int, parts: int) -> float:
        start, length = self._begun + part * self._seconds / parts, self._seconds / parts
        return median(
            [value for moment, value in seen if start <= moment < start + length] or [float("nan")]
        )
