"""``ipp factor`` and ``ipp --help`` as whole processes, beside the interpreter and its imports alone.

    python bench/command_line.py [WORKBOOK.parquet]

The system in production takes 3.6 to 5.3 s a counter from workbook to workbook (given, not measured here).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl

from ipp.spreadsheet import write_xlsx
from measure import IPP, processes, show
from workbook import given_or_made


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parquet = given_or_made(folder)
        rows = pl.read_parquet(parquet)
        xlsx = folder / "libro.xlsx"
        write_xlsx(xlsx, [rows], {column: column for column in rows.columns}, xlsx.parent)
        print(f"{parquet.name}: {rows.height:,} products, {rows.width} columns")
        bare = processes((sys.executable, "-c", "pass")).seconds
        show("python -c pass", f"{bare:.3f} s", "the interpreter")
        imports = processes((sys.executable, "-c", "import cyclopts, polars, fastexcel, rich")).seconds
        show("python -c 'import cyclopts, polars, …'", f"{imports:.3f} s", "the imports")
        show("ipp --help", f"{processes((*IPP, '--help')).seconds:.3f} s", "target 0.25 s")
        out = {kind: str(folder / f"salida.{kind}") for kind in ("parquet", "xlsx")}
        spent = processes((*IPP, "factor", str(parquet), "--salida", out["parquet"]))
        show("ipp factor, Parquet to Parquet", f"{spent.seconds:.3f} s", "target 0.5 s")
        spent = processes((*IPP, "factor", str(xlsx), "--salida", out["xlsx"]))
        show(
            "ipp factor, xlsx to xlsx",
            f"{spent.seconds:.3f} s",
            "target 1.5 s, production 3.6 s",
        )


if __name__ == "__main__":
    main()
