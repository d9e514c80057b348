"""Measurement helpers: medians of many runs, whole processes, each figure beside an anchor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

IPP = (sys.executable, "-c", "from ipp.cli import main; main()")

ROWS = "IPP_BENCH_ROWS"
"""The variable that names the file to which `print_figure` appends its rows, JSON lines."""


@dataclass(frozen=True)
class Spent:
    """Wall time in seconds and peak resident memory in MB of one process."""

    seconds: float
    megabytes: float


def time_function(function: Callable[[], object], runs: int = 25) -> float:
    """Return the median seconds of ``function`` over ``runs``, after one that is not counted."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Spent:
    """Run a process to its end, output thrown away."""
    start = time.perf_counter()
    child = subprocess.Popen(
        command,
        env=os.environ | dict(environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return Spent(time.perf_counter() - start, usage.ru_maxrss / 1024)


def run_repeatedly(
    command: Sequence[str], environment: Mapping[str, str] | None = None, runs: int = 7
) -> Spent:
    """Return the median time and memory of a process over ``runs``, after one not counted."""
    run_process(command, environment)
    spent = [run_process(command, environment) for _ in range(runs)]
    return Spent(median(s.seconds for s in spent), median(s.megabytes for s in spent))


def print_figure(
    what: str,
    value: float,
    unit: str,
    against: Mapping[str, float],
    note: str = "",
    *,
    digits: int = 1,
) -> None:
    """Print a figure beside its anchors, and keep it as a row where `ROWS` names a file.

    ``against`` has one anchor at least, by its name, each in the figure's own ``unit``; the ratio
    is the figure to it.
    """
    assert against, what
    anchors = [
        (name, written(anchor, unit, digits), _ratio(value, anchor))
        for name, anchor in against.items()
    ]
    figure = written(value, unit, digits)
    beside = [f"{name} {anchor}: {ratio}" for name, anchor, ratio in anchors]
    print(f"{what:<58}{figure:>16}   {'; '.join(beside + [note] * bool(note))}", flush=True)
    if path := os.environ.get(ROWS):
        row = {"what": what, "figure": figure, "against": anchors, "note": note}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def written(value: float, unit: str, digits: int) -> str:
    """Return a number with its unit: two significant digits where ``digits`` would leave none."""
    cut = value != 0 and abs(value) < 10**-digits / 2
    text = f"{value:.2g}" if cut else f"{value:,.{digits}f}"
    return text + unit if unit.startswith(("%", "/")) else f"{text} {unit}".strip()


def _ratio(value: float, anchor: float) -> str:
    """Return the ratio to an anchor: three significant digits, as many decimals from 1 to 10."""
    if value == anchor:
        return "equal"
    ratio = value / anchor if anchor else float("inf")
    return (
        f"{ratio:,.0f} ×"
        if ratio >= 1_000
        else f"{ratio:.3f} ×"
        if 1 <= ratio < 10
        else f"{ratio:.3g} ×"
    )
