"""``python -m tests.fuzz [--cases N] [--seed N] [--case N] [--kind KIND]``: fuzz `ipp serve`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.command import IPP
from tests.e2e.server import run_server
from tests.fuzz.case import KINDS, build_case
from tests.fuzz.fuzz_run import Figures, run_cases

FAILURES = Path("fuzz-failures")


def main() -> int:
    """Run the cases; return 1 if any broke a law."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="of all cases")
    parser.add_argument("--case", type=int, help="only this one, as it was numbered")
    parser.add_argument("--kind", choices=sorted({*KINDS}), default="", help="only of this kind")
    options = parser.parse_args()
    numbers = range(options.cases) if options.case is None else [options.case]
    cases = (build_case(options.seed, number, options.kind) for number in numbers)
    print(f"seed {options.seed}")  # noqa: T201  # it is a command
    with TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        fill_home(home)
        with run_server(home) as server:
            figures = Figures()
            # Ctrl-C ends a long run with the figures so far.
            with suppress(KeyboardInterrupt):
                for done, _ in enumerate(run_cases(server, cases, figures, FAILURES), start=1):
                    sys.stderr.write(f"\r{min(done, len(numbers)):,} of {len(numbers):,}")
                    sys.stderr.flush()
    print(f"\n{figures.describe()}")  # noqa: T201  # it is a command
    for fault in figures.broken:
        print(fault)  # noqa: T201  # it is a command
    if figures.broken:
        print(f"Bodies: {FAILURES}. Again: python -m tests.fuzz --seed {options.seed} --case N")  # noqa: T201  # it is a command
    return 1 if figures.broken else 0


def fill_home(home: Path) -> None:
    """Make up a small chain in a home."""
    size = ("--mostradores", "4", "--materiales", "60", "--dias", "60", "--semilla", "64")
    subprocess.run(
        [*IPP, "sample", *size],
        env=os.environ | {"IPP_HOME": str(home)}, check=True, capture_output=True,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
