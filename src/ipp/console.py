"""What the terminal shows: tables, money as it is written in Mexico, and progress."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table


class _Output(Console):
    """Stdout; where it is no terminal nobody is there to widen the window, so tables get room."""

    def __init__(self) -> None:
        super().__init__(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line what the end of the reader means."""
        raise BrokenPipeError


def print_line(text: str) -> None:
    """Write a line for people on stdout."""
    _Output().print(text, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write a result for programs on stdout, one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: Collection[str] = (),
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
    for number, heading in enumerate(headings):
        is_text = heading in texts
        width = (
            None
            if is_text
            else max(len(heading), *(len(row[number]) for row in rows))
            if rows
            else len(heading)
        )
        table.add_column(
            heading,
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
            min_width=width,
        )
    for row in rows:
        table.add_row(*row)
    out = _Output()
    # A number is never cut: on a terminal too narrow for the table its lines run over.
    out.width = max(
        out.width, Measurement.get(out, out.options.update(max_width=_PIPE_HEIGHT), table).minimum
    )
    out.print(table, crop=False)


def format_money(value: float | None) -> str:
    """Pesos with thousands and cents, 1,234.50."""
    return "" if value is None else f"{value:,.2f}"


def format_count(value: int) -> str:
    """A count with thousands."""
    return f"{value:,}"


_FILE_WIDTH = 120
"""Columns of what is written into a file or a pipe."""


_PIPE_HEIGHT = 10_000


class ReportProgress(Protocol):
    """Told how far a step is; ``detail`` says of what, for the lines that programs read."""

    def __call__(self, step: str, done: int, total: int, **detail: int) -> None:
        """``done`` of ``total`` of ``step`` are ready."""


@contextmanager
def progress_reporter() -> Iterator[ReportProgress]:
    """Show how far each step is: a bar on a terminal, elsewhere JSON lines on stderr.

    Ctrl-C ends the block with KeyboardInterrupt, at the latest when the next step is reported: an interrupt that
    arrives inside a library's callback is swallowed there, and nothing is said of it.
    """
    pressed = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def watched(show: ReportProgress) -> ReportProgress:
        def report(step: str, done: int, total: int, **detail: int) -> None:
            if pressed:
                raise KeyboardInterrupt
            show(step, done, total, **detail)

        return report

    def unheard(lost: sys.UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            hook(lost)

    before, hook = signal.signal(signal.SIGINT, interrupt), sys.unraisablehook
    sys.unraisablehook = unheard
    try:
        with _progress_bars() if sys.stderr.isatty() else nullcontext(_progress_line) as show:
            yield watched(show)
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bars() -> Iterator[ReportProgress]:
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def bar(step: str, done: int, total: int, **_detail: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(_STEP_TITLES.get(step, step), total=total)
            bars.update(tasks[step], completed=done)

        yield bar


_STEP_TITLES = {"publicacion": "publicación"}
"""Steps whose name for programs is not how it is written."""


def _progress_line(step: str, done: int, total: int, **detail: int) -> None:
    entry = {"etapa": step, **detail, "hechos": done, "total": total}
    sys.stderr.write(json.dumps(entry, ensure_ascii=False) + "\n")
    sys.stderr.flush()
