"""Every figure the project claims, measured on this machine in one run: bench/README.md.

    python bench/table.py [--demand FOLDER] [--workbook WORKBOOK.parquet] [SCRIPT ...]

FOLDER is that of bench/forecast.py, WORKBOOK.parquet that of bench/factor_step.py; what needs a
FOLDER is left out without one, and a made-up workbook stands for the other. With names of scripts
these alone run, and the table goes to stdout. Exit status 1 where a script failed: its figures are
missing then, and the table says so.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from measure import ROWS

HERE: Final = Path(__file__).parent
SCRIPTS: Final[Sequence[str]] = (
    "factor_step WORKBOOK.parquet",
    "command_line WORKBOOK.parquet",
    "demo",
    "write_workbook",
    "scale",
    "budget",
    "api",
    "page",
    "download",
    "history",
    "lambda_start",
    "sample",
    "import_sellout",
    "import_sellout --order counter",
    "spark 100 4200",
    "allocation",
    "forecast FOLDER",
    "frontier FOLDER/m5_two_stores.parquet",
    "soak",
)
"""The scripts to run, in order; a word that is not given is left out where its script allows it."""
HEAD: Final = """\
Made by `make bench DEMAND=FOLDER WORKBOOK=WORKBOOK.parquet` in one run; do not edit. \
A ratio is the figure to what it
is measured against, which is of the same run unless it is a target or was given with the model.
"""
LIBRARIES: Final = ("polars", "numpy", "deltalake", "pyarrow", "fastapi", "pyspark")


class Figure(NamedTuple):
    """A row: ``against`` holds each anchor's name, what it is, and the figure's ratio to it."""

    what: str
    figure: str
    against: Sequence[tuple[str, str, str]]
    note: str
    command: str


class Measured(NamedTuple):
    """What came out, the commands that failed, and those whose data was not given."""

    figures: list[Figure]
    failed: list[str]
    left_out: list[str]


def measure(scripts: Sequence[str], given: Mapping[str, Path]) -> Measured:
    """Run the scripts one after the other; what they print is seen as it comes."""
    measured = Measured([], [], [])
    for number, script in enumerate(scripts, 1):
        name, *words = script.split()
        arguments = [placed for word in words if (placed := place(word, given)) is not None]
        if len(arguments) < len(words):
            measured.left_out.append(command_of(script))
            script = name  # noqa: PLW2901  # what runs of it
        print(f"== {number} of {len(scripts)}: {command_of(script)}", flush=True)
        start = time.monotonic()
        if not run(name, arguments, command_of(script), measured):
            measured.failed.append(command_of(script))
        print(f"   {time.monotonic() - start:.0f} s", flush=True)
    return measured


def run(name: str, arguments: Sequence[str], command: str, measured: Measured) -> bool:
    """Run one script and take its rows; whether it ended well."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        rows.touch()
        environment = os.environ | {ROWS: str(rows)}
        status = subprocess.call(
            [sys.executable, str(HERE / f"{name}.py"), *arguments], env=environment
        )
        for line in rows.read_text(encoding="utf-8").splitlines():
            measured.figures.append(Figure(**json.loads(line), command=command))
    return status == 0


def place(word: str, given: Mapping[str, Path]) -> str | None:
    """Return a word of a command with its file or folder filled in; None where none was given."""
    first, _, rest = word.partition("/")
    if not first.isupper() and first != "WORKBOOK.parquet":
        return word
    return str(given[first] / rest) if first in given else None


def command_of(script: str) -> str:
    name, *words = script.split()
    return " ".join(["python", f"bench/{name}.py", *words])


def document(measured: Measured) -> str:
    """The table, the machine above it."""
    parts = [
        "# Every figure\n",
        HEAD,
    ]
    parts += [f"- {line}" for line in machine()]
    parts += [f"- **not measured, the script failed**: `{command}`" for command in measured.failed]
    parts += [
        f"- not measured, its data was not given: `{command}`" for command in measured.left_out
    ]
    parts += [
        "",
        "| what | figure | measured against | ratio | command |",
        "| --- | --- | --- | --- | --- |",
    ]
    parts += [line(figure) for figure in measured.figures]
    return "\n".join(parts) + "\n"


def line(figure: Figure) -> str:
    """A row of the table; the anchors one below the other, each beside its ratio."""
    what = figure.what.strip() + (f" ({figure.note})" if figure.note else "")
    anchors = "<br>".join(f"{name} {anchor}" for name, anchor, _ in figure.against)
    ratios = "<br>".join(ratio for *_, ratio in figure.against)
    cells = (what, figure.figure, anchors, ratios, f"`{figure.command}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def machine() -> Iterator[str]:
    """What it was measured on, and when."""
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (text.partition(":")[2].strip() for text in processors if text.startswith("model name")),
        "?",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield f"{os.cpu_count()} cores, {model}, {memory:.0f} GiB of memory, {platform.system()}"
    yield f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in LIBRARIES
    )
    changed = " and what was not committed" if git("status", "--porcelain") else ""
    yield f"{dt.datetime.now(dt.UTC).date()}, commit {git('rev-parse', '--short', 'HEAD')}{changed}"


def git(*arguments: str) -> str:
    found = subprocess.run(
        ("git", "-C", str(HERE), *arguments), capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scripts", metavar="SCRIPT", nargs="*")
    parser.add_argument("--demand", type=Path, metavar="FOLDER")
    parser.add_argument("--workbook", type=Path, metavar="WORKBOOK.parquet")
    asked = parser.parse_args()
    if unknown := set(asked.scripts) - {script.split()[0] for script in SCRIPTS}:
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    given = {"FOLDER": asked.demand, "WORKBOOK.parquet": asked.workbook}
    chosen = [
        script for script in SCRIPTS if not asked.scripts or script.split()[0] in asked.scripts
    ]
    measured = measure(chosen, {word: path for word, path in given.items() if path is not None})
    if asked.scripts:
        print(document(measured))
    else:
        (HERE / "README.md").write_text(document(measured), encoding="utf-8")
    return 1 if measured.failed else 0


if __name__ == "__main__":
    sys.exit(main())
