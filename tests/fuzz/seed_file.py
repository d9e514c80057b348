"""Valid files of every writer that people use, small, from which mutations are made."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxturbo
import xlsxwriter

from tests.books import build_ods, build_xls, ods_row, write_book

HEADINGS = ("mostrador", "tipo_inventario", "monto_deseado", "incluye_otc", "nota")
ROWS = [
    (7_051_602 + n, ("SPP", "IPP")[n % 2], 1_000.5 * n, ("sí", "no")[n % 2], f"Ánimas {n}")
    for n in range(40)
]


def _texts() -> list[tuple[str, ...]]:
    return [HEADINGS, *(tuple(map(str, row)) for row in ROWS)]


def _frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=list(HEADINGS), orient="row")


def _xlsxwriter_book() -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([HEADINGS, *ROWS]):
            sheet.write_row(number, 0, row)
        sheet.write_formula(45, 2, "=SUM(C2:C41)", None, 7)
        sheet.write_datetime(46, 2, dt.date(2026, 1, 31), book.add_format({"num_format": 14}))
        sheet.merge_range(47, 0, 47, 2, "unidas")
    return stream.getvalue()


def _xlsxturbo_book() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"
        xlsxturbo.df_to_xlsx(_frame(), str(path))
        return path.read_bytes()


def _polars_parquet() -> bytes:
    stream = io.BytesIO()
    _frame().write_parquet(stream)
    return stream.getvalue()


def _arrow_parquet() -> bytes:
    """Columns of types that no table of ours has, dictionaries and run lengths."""
    count = 5_000
    columns = {
        "mostrador": pa.array([7_051_602] * count, pa.int64()),
        "tipo_inventario": pa.array(["SPP", "IPP"] * (count // 2)).dictionary_encode(),
        "monto_deseado": pa.array([None, 5] * (count // 2), pa.decimal128(20, 4)),
        "nota": pa.array([[{"a": 1}]] * count),
        "dia": pa.array([dt.timedelta(1)] * count),
        "hora": pa.array(
            [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * count, pa.timestamp("ns", "America/Tijuana")
        ),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, compression="gzip", row_group_size=1_000)
    return stream.getvalue()


def _csv(separator: str) -> str:
    return "".join(f"{separator.join(line)}\r\n" for line in _texts())


@cache
def seed_files() -> Mapping[str, bytes]:
    """Return the files by name, whose extension is their kind."""
    texts = _texts()
    cells = {(r, c): text for r, line in enumerate(texts[:20]) for c, text in enumerate(line[:4])}
    latin = {
        place: text.encode("latin-1", "replace").decode("latin-1") for place, text in cells.items()
    }
    return {
        "openpyxl.xlsx": write_book(HEADINGS, *ROWS),
        "xlsxwriter.xlsx": _xlsxwriter_book(),
        "xlsxturbo.xlsx": _xlsxturbo_book(),
        "libre.xlsx": build_ods("".join(ods_row(*line) for line in texts)),
        "viejo.xls": build_xls(latin, (0, 20, 0, 4)),
        "polars.parquet": _polars_parquet(),
        "arrow.parquet": _arrow_parquet(),
        "comas.csv": _csv(",").encode("utf-8-sig"),
        "puntos.csv": _csv(";").encode("cp1252"),
        "tabuladores.csv": _csv("\t").encode("utf-16"),
    }
