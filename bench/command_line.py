"""``ipp factor`` and ``ipp --help`` as whole processes, beside the interpreter and its imports.

    python bench/command_line.py [WORKBOOK.parquet]

The system in production takes 3.6 to 5.3 s a counter from workbook to workbook (given, not measured
here). Beside the workbooks: calamine reads the same file and xlsxturbo writes the same cells alone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import fastexcel
import polars as pl
import xlsxturbo

from ipp.core.workbook_columns import SOURCE_TABLE
from ipp.formats.spreadsheet import write_workbook
from measure import IPP, print_figure, run_repeatedly, time_function
from workbook import given_or_made

MANY_PRODUCTS: Final = 200_000
MATERIAL_HEADING: Final = SOURCE_TABLE.by_name["material"].label


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parquet = given_or_made(folder)
        rows = pl.read_parquet(parquet)
        names = {column: column for column in rows.columns}
        xlsx, many = folder / "libro.xlsx", folder / "muchos.xlsx"
        write_workbook(xlsx, [rows], names, folder)
        write_workbook(many, [repeat_products(rows, MANY_PRODUCTS)], names, folder)
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
        against = {"target": 1.0, "in production at best, given": 3.6} | beside
        against |= read_and_write_alone(xlsx, runs=5)
        print_figure("ipp factor, xlsx to xlsx", seconds, "s", against, digits=3)
        spent = run_repeatedly((*IPP, "factor", str(many), "--salida", out["xlsx"]), runs=3)
        print_figure(
            f"ipp factor, xlsx to xlsx, {MANY_PRODUCTS:,} products",
            spent.seconds,
            "s",
            {"target": 8.0, **read_and_write_alone(many, runs=1)},
            f"{spent.megabytes:,.0f} MB",
        )


def repeat_products(rows: pl.DataFrame, products: int) -> pl.DataFrame:
    """Return as many products as asked, the same over and over but for their numbers."""
    many = pl.concat([rows] * (products // len(rows) + 1)).head(products)
    return many.with_columns(pl.int_range(1, products + 1).alias(MATERIAL_HEADING))


def read_and_write_alone(book: Path, runs: int) -> dict[str, float]:
    """Return the seconds in which libraries read a workbook, and write what was read."""
    sheet = load(book)
    out = book.with_name("solo.xlsx")
    write = time_function(lambda: xlsxturbo.df_to_xlsx(sheet, out, constant_memory=True), runs)
    return {"calamine reading": time_function(lambda: load(book), runs), "xlsxturbo writing": write}


def load(book: Path) -> pl.DataFrame:
    return fastexcel.read_excel(book).load_sheet(0).to_polars()


if __name__ == "__main__":
    main()
