"""What the terminal shows: tables, money as it is written in Mexico, and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


def say(text: str) -> None:
    """Write a line for people on stdout."""
    _out().print(text, markup=False, soft_wrap=True)


def _out() -> Console:
    """Stdout; where it is no terminal nobody is there to widen the window, so tables get room."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)


def print_json(value: Any) -> None:
    """Write a result for programs on stdout, one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, texts: Collection[str] = ()
) -> None:
    """Write a table on stdout; the columns whose heading is not among ``texts`` are numbers."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in headings:
        is_text = heading in texts
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for row in rows:
        table.add_row(*row)
    _out().print(table)


def money(value: float | None) -> str:
    """Pesos with thousands and cents, 1,234.50."""
    return "" if value is None else f"{value:,.2f}"


def whole(value: int) -> str:
    """A count with thousands."""
    return f"{value:,}"


_FILE_WIDTH = 120
"""Columns of what is written into a file or a pipe."""


class Report(Protocol):
    """Told how far a step is; ``detail`` says of what, for the lines that programs read."""

    def __call__(self, step: str, done: int, total: int, **detail: int) -> None:
        """``done`` of ``total`` of ``step`` are ready."""


@contextmanager
def progress() -> Iterator[Report]:
    """Show how far each step is: a bar on a terminal, elsewhere JSON lines on stderr."""
    if not sys.stderr.isatty():
        yield _line
        return
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def bar(step: str, done: int, total: int, **_detail: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done)

        yield bar


def _line(step: str, done: int, total: int, **detail: int) -> None:
    entry = {"etapa": step, **detail, "hechos": done, "total": total}
    sys.stderr.write(json.dumps(entry, ensure_ascii=False) + "\n")
    sys.stderr.flush()
