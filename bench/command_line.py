"""``ipp factor`` and ``ipp --help`` as whole processes, beside the interpreter and its imports.

    python bench/command_line.py [WORKBOOK.parquet]

The system in production takes 3.6 to 5.3 s a counter from workbook to workbook (given, not measured
here).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl

from ipp.formats.spreadsheet import write_workbook
from measure import IPP, print_figure, run_repeatedly
from workbook import given_or_made


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parquet = given_or_made(folder)
        rows = pl.read_parquet(parquet)
        xlsx = folder / "libro.xlsx"
        write_workbook(xlsx, [rows], {column: column for column in rows.columns}, xlsx.parent)
        print(f"{parquet.name}: {rows.height:,} products, {rows.width} columns")
        bare = run_repeatedly((sys.executable, "-c", "pass")).seconds
        imports = run_repeatedly(
            (sys.executable, "-c", "import cyclopts, polars, fastexcel, rich")
        ).seconds
        beside = {"interpreter and imports": imports}
        seconds = run_repeatedly((*IPP, "--help")).seconds
        print_figure(
            "ipp --help", seconds, "s", {"target": 0.25, "the interpreter": bare}, digits=3
        )
        out = {kind: str(folder / f"salida.{kind}") for kind in ("parquet", "xlsx")}
        seconds = run_repeatedly((*IPP, "factor", str(parquet), "--salida", out["parquet"])).seconds
        print_figure(
            "ipp factor, Parquet to Parquet", seconds, "s", {"target": 0.5} | beside, digits=3
        )
        seconds = run_repeatedly((*IPP, "factor", str(xlsx), "--salida", out["xlsx"])).seconds
        against = {"target": 1.5, "in production at best, given": 3.6} | beside
        print_figure("ipp factor, xlsx to xlsx", seconds, "s", against, digits=3)


if __name__ == "__main__":
    main()
