"""Files that people open: workbooks and csv, with the headings they know."""

from __future__ import annotations

import codecs
import datetime as dt
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from ipp.errors import InvalidInputError
from ipp.files.atomic import replacing
from ipp.files.scratch import Scratch

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

SHEET_ROWS: Final = 1_048_576 - 1
"""Rows of data that an Excel sheet holds below its heading."""

_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": True,
}
"""A text stays a text: what begins with = is no formula, what looks like an address no link."""

_EPOCH: Final = dt.datetime(2000, 1, 1)  # noqa: DTZ001  # a workbook's properties know no time zone
_FORMULA: Final = r"^\s*[=+\-@\t\r]"
_NUMBER: Final = r"^[+-]?(\d+([.,]\d+)*|[.,]\d+)$"
_FORMATS: Final = {pl.Int64: "0", pl.Float64: "#,##0.######", pl.Date: "yyyy-mm-dd"}
"""How a column is shown that has no format of its own."""

_WIDEST: Final = 42
_EXACT: Final = 10**15
"""Excel holds 15 digits of a number; a longer code stays whole only as a text."""


def write_xlsx(
    path: Path,
    frames: Iterable[pl.DataFrame],
    headings: Mapping[str, str],
    scratch: Path,
    *,
    formats: Mapping[str, str] | None = None,
    created: dt.datetime = _EPOCH,
) -> None:
    """Write one sheet with every row of ``frames``; the same rows give the same bytes.

    ``headings`` maps the columns to write, in order, to what people read. All frames are of one schema and hold
    at most `SHEET_ROWS` rows together; each is asked for when the one before is written. ``formats`` maps columns to
    number formats. ``created`` goes into the file's properties. ``scratch`` is a folder for what is written on the
    way. Raises `OSError` where it cannot be written.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415  # 40 ms that only those who write a workbook should pay
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415  # as the line above

    path.touch()  # says at once, and as an OSError, that a file cannot be made here
    book = Workbook(str(path), {**_OPTIONS, "tmpdir": str(scratch)})
    book.set_properties({"title": "IPP", "created": created.replace(tzinfo=None)})
    try:
        _fill(book, frames, headings, formats or {})
    finally:
        try:
            book.close()
        except FileCreateError as error:
            raise OSError(f"{path}: {error}") from error


def _fill(
    book: Workbook, frames: Iterable[pl.DataFrame], headings: Mapping[str, str], formats: Mapping[str, str]
) -> None:
    sheet = book.add_worksheet("IPP")
    row = 0
    for number, frame in enumerate(frames):
        part = frame.select(headings.keys())
        if number == 0:
            _head(book, sheet, part, headings, formats)
        _body(sheet, part, row + 1)
        row += len(part)
    sheet.autofilter(0, 0, row, len(headings) - 1)


def _head(
    book: Workbook, sheet: Worksheet, first: pl.DataFrame, headings: Mapping[str, str], formats: Mapping[str, str]
) -> None:
    bold = book.add_format({"bold": True, "bottom": 1})
    made = {form: book.add_format({"num_format": form}) for form in {*formats.values(), *_FORMATS.values()}}
    sheet.freeze_panes(1, 0)
    for column, (name, heading) in enumerate(headings.items()):
        form = formats.get(name) or _FORMATS.get(first[name].dtype.base_type(), "General")
        width = min(max(len(heading), _widest(first[name])) + 2, _WIDEST)
        sheet.set_column(column, column, width, made.get(form))
    sheet.write_row(0, 0, list(headings.values()), bold)


def _widest(cells: pl.Series) -> int:
    """Characters that the widest cell takes as it is shown."""
    if cells.dtype == pl.Float64:
        return len(f"{float(str(cells.abs().max() or 0)):,.4f}")
    return int(str(cells.cast(pl.String).str.len_chars().max() or 0))


def _body(sheet: Worksheet, frame: pl.DataFrame, first: int) -> None:
    frame = frame.with_columns(
        pl.col(name).cast(pl.String)
        for name, dtype in frame.schema.items()
        if dtype == pl.Int64 and int(str(frame[name].abs().max() or 0)) >= _EXACT
    )
    writers = [
        sheet.write_boolean
        if dtype == pl.Boolean
        else sheet.write_number
        if dtype.is_numeric()
        else sheet.write_datetime
        if dtype.is_temporal()
        else sheet.write_string
        for dtype in frame.dtypes
    ]
    for row, values in enumerate(frame.iter_rows(), first):
        for column, value in enumerate(values):
            if value is not None:
                writers[column](row, column, value)


def harmless(text: pl.Expr) -> pl.Expr:
    """Put an apostrophe before a text that a spreadsheet would run as a formula; a plain number is none."""
    return pl.when(text.str.contains(_NUMBER)).then(text).otherwise(text.str.replace(_FORMULA, "'$0"))


def write_csv(
    path: Path, frames: Iterable[pl.DataFrame], headings: Mapping[str, str], *, decimal_comma: bool = False
) -> None:
    """Write a csv of the rows of ``frames`` as `csv_body` has them; they are written as they come, one at a time."""
    write_csv_parts(path, headings, (csv_body(f, headings, decimal_comma=decimal_comma) for f in frames), decimal_comma)


def write_csv_parts(
    path: Path, headings: Mapping[str, str], bodies: Iterable[bytes], decimal_comma: bool = False
) -> None:
    """Write a csv that Excel opens as it is set in Mexico: UTF-8 with BOM, comma, decimal point.

    With ``decimal_comma`` it has semicolons and decimal commas, as Excel is set in Spain. ``bodies`` are what
    `csv_body` makes of the rows, some at a time.
    """
    nothing = pl.DataFrame(schema=dict.fromkeys(headings.values(), pl.String))
    head = nothing.write_csv(separator=";" if decimal_comma else ",")
    with path.open("wb") as file:
        file.write(codecs.BOM_UTF8 + head.encode())
        file.writelines(bodies)


def csv_body(frame: pl.DataFrame, headings: Mapping[str, str], *, decimal_comma: bool = False) -> bytes:
    """The rows as lines of a csv, without its heading.

    A text that Excel would take for a formula gets an apostrophe before it; numbers are left alone.
    """
    part = frame.select(headings.keys())
    texts = part.select(pl.col(pl.String).str.contains(_FORMULA).any())  # most have nothing of the kind
    harmful = [name for name in texts.columns if texts[name].item()]
    part = part.with_columns(harmless(pl.col(name)) for name in harmful)
    separator = ";" if decimal_comma else ","
    lines = io.BytesIO()
    part.write_csv(lines, include_header=False, separator=separator, decimal_comma=decimal_comma)
    return lines.getvalue()


def write_table(
    path: Path,
    frame: pl.DataFrame,
    headings: Mapping[str, str],
    scratch: Scratch,
    formats: Mapping[str, str] | None = None,
) -> None:
    """Write ``frame`` as the kind of file that the ending of ``path`` names; a whole file or none.

    Raises `InvalidInputError` for an ending that is not .xlsx, .csv or .parquet, a folder that is not there, or
    more rows than a sheet holds.
    """
    kind = path.suffix.lower()
    if kind not in {".xlsx", ".csv", ".parquet"}:
        raise InvalidInputError(f"No sé escribir {path.name}.", hint="Termínelo en .xlsx, .csv o .parquet.")
    if path.is_dir():
        raise InvalidInputError(f"{path} es una carpeta.", hint="Indique un archivo.")
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"No existe la carpeta {path.absolute().parent}.", hint="Créela o indique otra.")
    if kind == ".xlsx" and len(frame) > SHEET_ROWS:
        raise InvalidInputError(
            f"Son {len(frame):,} renglones y una hoja de Excel tiene lugar para {SHEET_ROWS:,}.",
            hint="Guárdelo como .csv o .parquet, o un mostrador a la vez.",
        )
    with replacing(path) as partial:
        if kind == ".xlsx":
            with scratch.folder() as folder:
                write_xlsx(partial, [frame], headings, folder, formats=formats)
        elif kind == ".csv":
            write_csv(partial, [frame], headings)
        else:
            frame.select(headings.keys()).rename(dict(headings)).write_parquet(partial)
