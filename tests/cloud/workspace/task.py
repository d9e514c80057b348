"""A task's process: the wheel's entry point in a process group, which ends with it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_ENTRY = """
import signal, sys
from importlib.metadata import distribution
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.argv = sys.argv[1:]
wanted = [e for e in distribution("ipp").entry_points \
if e.group == "console_scripts" and e.name == sys.argv[0]]
if not wanted:
    sys.exit(f"Error: the wheel has no entry point {sys.argv[0]}")
try:
    wanted[0].load()()
finally:
    spark = sys.modules.get("pyspark.sql")
    if spark and (session := spark.SparkSession.getActiveSession()):
        session.stop()
"""
"""Runs a wheel task as Databricks does: it calls the function and ignores its return value.

What it has Spark do ends with it, also where it is told to end: Spark is elsewhere and would go on.
"""

_TRACEBACK = "Traceback (most recent call last):"
_TAIL = 65_536
_LAST = 3


def entry_point(name: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs an entry point of the wheel."""
    return [sys.executable, "-c", _ENTRY, name, *arguments]


class TaskProcess:
    """A command that runs; ``output`` is the file, without its ending, that has what it says."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], output: Path) -> None:
        self._errors = output.with_suffix(".err")
        self._output = output.with_suffix(".out")
        with self._output.open("wb") as said, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                list(command),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=errors,
                process_group=0,
            )

    @property
    def status(self) -> int:
        return self._process.wait()

    def ended(self, within: float) -> bool:
        """Wait at most so many seconds and tell whether it has ended."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace: float) -> None:
        """Ask the group to end, and end it."""
        self._signal(signal.SIGTERM)
        give_up = time.monotonic() + grace
        while time.monotonic() < give_up and not self.ended(0.02):
            pass
        self.close()

    def close(self) -> None:
        """End what is left of the group."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def logs(self) -> str:
        """What it said, on both streams."""
        return _tail(self._output) + _tail(self._errors)

    def error(self) -> str:
        """Return the last ``Error: `` with its indented lines, else the exception or status."""
        lines = [line for line in _tail(self._errors).splitlines() if line.strip()]
        starts = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
        if starts:
            said = [lines[starts[-1]].removeprefix("Error: ")]
            said += itertools.takewhile(_is_inside, lines[starts[-1] + 1 :])
            return "\n".join(said)
        if _TRACEBACK in lines:
            raised = lines[len(lines) - lines[::-1].index(_TRACEBACK) :]
            return "\n".join(itertools.dropwhile(_is_inside, raised))
        return "\n".join(lines[-_LAST:]) or f"SystemExit: {self.status}"

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _is_inside(line: str) -> bool:
    return line.startswith(" ")


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")
