"""The small made-up chain that tests compute on, and the runner that computes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.sample import invent_chain, write_chain
from ipp.storage.change_record import Author, Door
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

AUTHOR = Author("local", "ana", Door.COMMAND)
"""Who writes it."""

END = dt.date(2026, 6, 30)
"""Last day of its sell-out."""


def build_runner(folder: Path) -> LocalRunner:
    """Build the runner of one machine over an empty ``folder``."""
    lakehouse, files = DeltaLakehouse(folder / "lakehouse"), LocalFiles(folder / "files")
    return LocalRunner(lakehouse, files, Scratch(folder / "scratch"))


def write_sample(
    runner: LocalRunner, *, counters: int = 4, materials: int = 120, days: int = 400, seed: int = 3
) -> LocalRunner:
    """Write a chain into the runner's lakehouse; return the runner."""
    made = invent_chain(counters=counters, materials=materials, days=days, seed=seed, end=END)
    write_chain(made, runner.lakehouse, runner.scratch, lambda _done, _total: None, AUTHOR)
    return runner
