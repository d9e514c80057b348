"""Terminal output: tables, money in Mexican format, and progress."""

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
    """Console on stdout; wide if it is not a terminal, because nobody can widen the window."""

    def __init__(self) -> None:
        super().__init__(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, so that the command line decides how to end."""
        raise BrokenPipeError


def print_line(text: str) -> None:
    """Write a human-readable line on stdout."""
    _Output().print(text, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write a machine-readable result on stdout, as one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: Collection[str] = (),
) -> None:
    """Write a table on stdout; columns whose heading is not in ``texts`` hold numbers."""
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
        # The columns of numbers are as wide as their widest cell, so that none is cut.
        width = None if is_text else max([len(heading), *(len(row[number]) for row in rows)])
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
    # A truncated number would be misread, so on a terminal that is too narrow the lines wrap.
    out.width = max(
        out.width, Measurement.get(out, out.options.update(max_width=_PIPE_HEIGHT), table).minimum
    )
    out.print(table, crop=False)


def format_money(value: float | None) -> str:
    """Return pesos with thousands separators and cents, 1,234.50; None is empty."""
    return "" if value is None else f"{value:,.2f}"


def format_count(value: int) -> str:
    """Return a count with thousands separators."""
    return f"{value:,}"


_FILE_WIDTH = 120
"""Width, in columns, of output that goes to a file or a pipe."""

_PIPE_HEIGHT = 10_000
"""Width, in columns, at which a table is measured: more than any table needs."""


class ReportProgress(Protocol):
    """Progress callback; ``detail`` is added to the JSON lines that programs read."""

    def __call__(self, step: str, done: int, total: int, **detail: int) -> None:
        """Report that ``done`` of the ``total`` units of ``step`` are ready."""


@contextmanager
def progress_reporter(*, lines: bool = True) -> Iterator[ReportProgress]:
    """Show the progress of each step: a bar on a terminal, elsewhere JSON lines on stderr.

    Without ``lines`` nothing is written where there is no terminal.

    Ctrl-C ends the block with KeyboardInterrupt, at the latest at the next progress report: an
    interrupt that arrives inside a library's callback is swallowed there, without a message.
    """
    interrupted = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def watched(show: ReportProgress) -> ReportProgress:
        def report(step: str, done: int, total: int, **detail: int) -> None:
            if interrupted:
                raise KeyboardInterrupt
            show(step, done, total, **detail)

        return report

    def unheard(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            previous_hook(unraisable)

    previous_handler, previous_hook = signal.signal(signal.SIGINT, interrupt), sys.unraisablehook
    sys.unraisablehook = unheard
    try:
        plain = _progress_line if lines else _ignore_progress
        with _progress_bars() if sys.stderr.isatty() else nullcontext(plain) as show:
            yield watched(show)
    finally:
        sys.unraisablehook = previous_hook
        signal.signal(signal.SIGINT, previous_handler)


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
"""Spanish spelling of the steps whose machine-readable name lacks its accent."""


def _progress_line(step: str, done: int, total: int, **detail: int) -> None:
    entry = {"etapa": step, **detail, "hechos": done, "total": total}
    sys.stderr.write(json.dumps(entry, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def _ignore_progress(step: str, done: int, total: int, **detail: int) -> None:
    """Write nothing."""
    del step, done, total, detail
