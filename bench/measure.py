"""How the benchmarks measure: medians of many runs, whole processes from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

IPP = (sys.executable, "-c", "from ipp.cli import main; main()")


@dataclass(frozen=True)
class Spent:
    """Wall time in seconds and peak resident memory in MB of one process."""

    seconds: float
    megabytes: float


def timed(function: Callable[[], object], runs: int = 25) -> float:
    """Median seconds of ``function`` over ``runs``, after one that is not counted."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Spent:
    """Run a process to its end, output thrown away."""
    start = time.perf_counter()
    child = subprocess.Popen(
        command, env=os.environ | dict(environment or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return Spent(time.perf_counter() - start, usage.ru_maxrss / 1024)


def processes(command: Sequence[str], environment: Mapping[str, str] | None = None, runs: int = 7) -> Spent:
    """Median time and memory of a process over ``runs``, after one that is not counted."""
    process(command, environment)
    spent = [process(command, environment) for _ in range(runs)]
    return Spent(median(s.seconds for s in spent), median(s.megabytes for s in spent))


def show(what: str, figure: str, beside: str) -> None:
    """One line of a benchmark: what, its figure, what it is measured against."""
    print(f"{what:<52}{figure:>14}   {beside}", flush=True)
