"""Writing a workbook for people, from rows like those of Job 1, as processes of their own.

    python bench/write_workbook.py

Beside it: xlsxwriter, which wrote our workbooks before, in its own mode for large files. The memory
of a sheet that is nearly full shows whether the rows are ever together in it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ipp.core.workbook_columns import RAW_TABLE
from ipp.formats.spreadsheet import write_workbook
from measure import print_figure, run_process

PRODUCTS = 4_200
COUNTERS = 24
FULL_SHEET_COUNTERS = 240
EMPTY_SHARE = 0.2


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "libro.xlsx"
        spent, sizes = {}, {}
        for case in (
            f"ours {COUNTERS}",
            f"xlsxwriter {COUNTERS}",
            f"ours {FULL_SHEET_COUNTERS}",
            "nothing 1",
        ):
            spent[case] = run_process((sys.executable, __file__, case, str(path)))
            sizes[case] = path.stat().st_size / 1e6 if path.exists() else 0.0
    few, many, before = f"ours {COUNTERS}", f"ours {FULL_SHEET_COUNTERS}", f"xlsxwriter {COUNTERS}"
    bare = spent["nothing 1"]
    rows = f"a workbook of {COUNTERS * PRODUCTS:,} × {len(RAW_TABLE.columns)}"
    print_figure(
        rows,
        spent[few].seconds,
        "s",
        {"xlsxwriter": spent[before].seconds, "imports": bare.seconds},
    )
    print_figure("its file", sizes[few], "MB", {"xlsxwriter's": sizes[before]})
    against = {f"of {COUNTERS * PRODUCTS:,}": spent[few].megabytes, "imports": bare.megabytes}
    what = f"memory, a workbook of {FULL_SHEET_COUNTERS * PRODUCTS:,} rows"
    print_figure(what, spent[many].megabytes, "MB", against, digits=0)


def child(case: str, path: Path) -> None:
    """Write the workbook of ``case``, and nothing else."""
    kind, counters = case.split()
    frames = parts(int(counters))
    if kind == "ours":
        write_workbook(path, frames, RAW_TABLE.labels, path.parent, formats=RAW_TABLE.formats)
    elif kind == "xlsxwriter":
        write_by_xlsxwriter(path, frames)


def parts(counters: int) -> Iterator[pl.DataFrame]:
    """Rows of one counter after the other."""
    chance = np.random.default_rng(1)
    for _ in range(counters):
        yield pl.DataFrame(
            [cells(column.name, column.dtype, chance) for column in RAW_TABLE.columns]
        )


def cells(name: str, dtype: pl.DataType, chance: np.random.Generator) -> pl.Series:
    """The cells of a column; some of its numbers are missing."""
    numbers = pl.Series(name, chance.integers(0, 10_000, PRODUCTS))
    if dtype == pl.String:
        return pl.select(pl.format("TABLETAS 500 MG CAJA {}", numbers).alias(name)).to_series()
    if dtype == pl.Boolean:
        return numbers > 5_000
    filled = pl.Series(chance.random(PRODUCTS) >= EMPTY_SHARE)
    shown = numbers / 100 if dtype.is_float() else numbers
    return shown.zip_with(filled, pl.Series(name, [None], dtype=shown.dtype))


def write_by_xlsxwriter(path: Path, frames: Iterator[pl.DataFrame]) -> None:
    from xlsxwriter import Workbook

    with Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)}) as book:
        sheet = book.add_worksheet()
        formats = [
            book.add_format({"num_format": column.cell_format}) for column in RAW_TABLE.columns
        ]
        sheet.write_row(0, 0, list(RAW_TABLE.labels.values()))
        rows = (row for frame in frames for row in frame.iter_rows())
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row):
                if value is not None:
                    sheet.write(number, column, value, formats[column])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
