"""Write the workbooks, csv and Parquet files that people open, under the headings they know."""

from __future__ import annotations

import codecs
import datetime as dt
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from zipfile import ZIP_STORED, ZipFile

import polars as pl

from ipp.errors import InvalidInputError
from ipp.storage.files.atomic_file import replace_file
from ipp.storage.files.scratch import Scratch

if TYPE_CHECKING:
    from xlsxturbo.types import ColumnFormat

_SYNC_BYTES: Final = 128 << 20
"""Bytes of a csv after which they are sent to the disk: 1.5 GB at its end would take seconds."""

MAX_SHEET_ROWS: Final = 1_048_576 - 1
"""Rows of data that an Excel sheet holds below its heading."""

_FIXED_CREATION_DATE: Final = dt.datetime(2000, 1, 1)  # noqa: DTZ001  # A workbook's properties have no time zone.
FORMULA_PATTERN: Final = (
    r"^(?:[\s\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\x{2800}]*"
    r"[=⁼₌﹦＝+⁺₊﬩﹢＋\-﹣－@﹫＠]|[\t\r])"
)
"""A text that a spreadsheet may run.

It begins, after nothing but what cannot be seen, with the sign of a formula, full-width or in any
other form that a program may take for it (NFKC); or with a tab or a carriage return.
"""

_NUMBER_PATTERN: Final = r"^[+-]?([0-9]+([.,][0-9]+)*|[.,][0-9]+)$"
_FORMATS: Final = {pl.Int64: "0", pl.Float64: "#,##0.######", pl.Date: "yyyy-mm-dd"}
"""The number format, by type, of a column without one of its own."""

MAX_TEXT_UNITS: Final = 32_767
"""UTF-16 code units that a cell of Excel holds."""

_MAX_WIDTH_CHARACTERS: Final = 42
_EXACT_INTEGER_LIMIT: Final = 10**15
"""Excel keeps 15 digits of a number; a longer code keeps all of its digits only as a text."""

_SHEET_OPTIONS: Final[Mapping[str, Any]] = {
    "sheet_name": "IPP",
    "freeze_panes": True,
    "autofilter": True,
    "constant_memory": True,
    # Of 9. At level 6 a workbook is a seventh smaller and takes half as long again to write.
    "compression_level": 3,
    "header_format": {"bold": True, "border_bottom": "thin"},
}

_PROPERTIES_FILE: Final = "docProps/core.xml"
_PROPERTIES_XML: Final = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<cp:coreProperties\
 xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"\
 xmlns:dc="http://purl.org/dc/elements/1.1/"\
 xmlns:dcterms="http://purl.org/dc/terms/"\
 xmlns:dcmitype="http://purl.org/dc/dcmitype/"\
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>IPP</dc:title>\
<dc:creator/><cp:lastModifiedBy/>\
<dcterms:created xsi:type="dcterms:W3CDTF">{created:%Y-%m-%dT%H:%M:%SZ}</dcterms:created>\
<dcterms:modified xsi:type="dcterms:W3CDTF">{created:%Y-%m-%dT%H:%M:%SZ}</dcterms:modified>\
</cp:coreProperties>"""


def write_workbook(
    path: Path,
    frames: Iterable[pl.DataFrame],
    headings: Mapping[str, str],
    scratch: Path,
    *,
    formats: Mapping[str, str] | None = None,
    created: dt.datetime = _FIXED_CREATION_DATE,
) -> None:
    """Write one sheet with every row of ``frames``; the same rows give the same bytes.

    ``headings`` maps the columns to write, in order, to the headings people read. All frames have
    one schema and at most `MAX_SHEET_ROWS` rows together. Each is consumed once the one before is
    written to the folder ``scratch``; how the rows are divided into frames makes no difference. The
    sheet is kept uncompressed in the system's temporary folder until it is done. ``formats`` maps
    columns to number formats. ``created`` goes into the file's properties.

    A text stays a text, even if it begins with = or looks like a link, and is cut after
    `MAX_TEXT_UNITS`. NaN and infinity, which Excel cannot store, become empty cells. Raises
    `OSError` where the file cannot be written.
    """
    import xlsxturbo  # noqa: PLC0415  # Only callers that write a workbook should pay for it.

    # This raises OSError at once where a file cannot be created here.
    path.touch()
    with TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        rows = _spool_frames(frames, headings, folder)
        book = folder / "libro.xlsx"
        xlsxturbo.df_to_xlsx(
            rows,
            book,
            column_widths=rows.widths,
            column_formats=rows.column_formats(headings, formats or {}),
            **_SHEET_OPTIONS,
        )
        _set_properties(book, created)
        shutil.move(book, path)


class _SpooledRows(pl.DataFrame):
    """A frame of rows spooled to files, for xlsxturbo, which takes a frame and iterates its rows.

    ``parts`` are Arrow files; ``extents`` cover all rows, by column. The frame itself is empty.
    """

    def __init__(
        self, schema: pl.Schema, parts: Sequence[Path], extents: Sequence[_ColumnExtent]
    ) -> None:
        super().__init__(schema=schema)
        self._parts = parts
        self._extents = extents
        self.widths = {
            position: min(max(len(heading), extent.characters) + 2, _MAX_WIDTH_CHARACTERS)
            for position, (heading, extent) in enumerate(zip(schema, extents, strict=True))
        }

    def column_formats(
        self, headings: Mapping[str, str], formats: Mapping[str, str]
    ) -> dict[str, ColumnFormat]:
        """Return the number format of each heading whose column needs other than Excel's default.

        A column without a filled cell gets none, because a format makes xlsxturbo write each of its
        cells. Nor does a heading with an asterisk, which xlsxturbo would match as a pattern.
        """
        column_formats: dict[str, ColumnFormat] = {}
        columns = zip(headings, self.schema.items(), self._extents, strict=True)
        for name, (heading, dtype), extent in columns:
            form = formats.get(name) or _FORMATS.get(dtype.base_type(), "General")
            if form != "General" and extent.filled and "*" not in heading:
                column_formats[heading] = {"num_format": form}
        return column_formats

    @property
    def height(self) -> int:
        return self._extents[0].cells

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def iter_rows(self, **_: Any) -> Iterator[Any]:
        """Yield the rows in order, as tuples; one file is in memory at a time."""
        for part in self._parts:
            yield from self._excel_safe_rows(pl.read_ipc(part)).iter_rows()

    def _excel_safe_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return ``frame`` with texts for integers that Excel would round, and long texts cut."""
        extents = dict(zip(frame.columns, self._extents, strict=True))
        long = [name for name, extent in extents.items() if extent.units > MAX_TEXT_UNITS]
        wide = [name for name, extent in extents.items() if extent.whole >= _EXACT_INTEGER_LIMIT]
        return frame.with_columns(
            *(pl.col(name).cast(pl.String) for name in wide),
            *(pl.col(name).map_elements(_cut_text, pl.String) for name in long),
        )


@dataclass(slots=True)
class _ColumnExtent:
    """The extent of a column's cells: their number, width and largest values.

    ``filled`` counts the cells that are not empty, ``characters`` is the displayed width of the
    widest, ``units`` an upper bound of the UTF-16 code units of its texts, and ``whole`` the
    largest absolute value of its integers.
    """

    cells: int = 0
    filled: int = 0
    characters: int = 0
    units: int = 0
    whole: int = 0

    def add(self, cells: pl.Series) -> None:
        """Add more cells of the column."""
        self.cells += len(cells)
        self.filled += cells.count()
        if cells.dtype.is_float():
            largest = float(str(cells.abs().max() or 0))
            characters = len(f"{largest:,.4f}")
        elif cells.dtype.is_integer():
            ends = [int(str(end or 0)) for end in (cells.min(), cells.max())]
            self.whole = max(self.whole, *map(abs, ends))
            characters = max(len(str(end)) for end in ends)
        else:
            # A text never has fewer UTF-8 bytes than UTF-16 code units: á has 2 and 1, an emoji 4
            # and 2. So the bytes are an upper bound of the units.
            texts = cells.cast(pl.String).str
            characters = int(str(texts.len_chars().max() or 0))
            self.units = max(self.units, int(str(texts.len_bytes().max() or 0)))
        self.characters = max(self.characters, characters)


def _spool_frames(
    frames: Iterable[pl.DataFrame], headings: Mapping[str, str], folder: Path
) -> _SpooledRows:
    """Write each of ``frames`` to a file of ``folder``, and measure its columns for the sheet."""
    names = {name: _cut_text(heading) for name, heading in headings.items()}
    extents = [_ColumnExtent() for _ in names]
    schema = pl.Schema(dict.fromkeys(names.values(), pl.String()))
    parts = []
    for number, frame in enumerate(frames):
        part = frame.select(names.keys()).rename(names)
        for extent, cells in zip(extents, part.iter_columns(), strict=True):
            extent.add(cells)
        schema = part.schema
        parts.append(folder / f"{number}.arrow")
        part.write_ipc(parts[-1], compression="lz4")
    return _SpooledRows(schema, parts, extents)


def _cut_text(text: str) -> str:
    """Return as much of ``text`` as an Excel cell holds, without splitting a surrogate pair."""
    return text.encode("utf-16-le")[: 2 * MAX_TEXT_UNITS].decode("utf-16-le", "ignore")


def _set_properties(book: Path, created: dt.datetime) -> None:
    """Replace the library's document properties, which have the current time, with ours.

    They are the last but one file of the archive, so the files before them are left untouched.
    """
    with ZipFile(book, "a") as archive:
        names = archive.namelist()
        last = archive.infolist()[names.index(_PROPERTIES_FILE) :]
        contents = [archive.read(info) for info in last]
        contents[0] = _PROPERTIES_XML.format(created=created).encode()
        archive.start_dir = last[0].header_offset
        del archive.filelist[-len(last) :]
        for info, content in zip(last, contents, strict=True):
            del archive.NameToInfo[info.filename]
            # Stored without compression, the bytes are the same with any version of zlib.
            archive.writestr(info, content, ZIP_STORED)


def escape_formula(text: pl.Expr) -> pl.Expr:
    """Prefix an apostrophe to a text that a spreadsheet would run as a formula.

    A plain number such as -5 or +1.5 is left alone.
    """
    return (
        pl.when(text.str.contains(_NUMBER_PATTERN))
        .then(text)
        .otherwise(text.str.replace(FORMULA_PATTERN, "'$0"))
    )


def write_csv(
    path: Path,
    frames: Iterable[pl.DataFrame],
    headings: Mapping[str, str],
    *,
    decimal_comma: bool = False,
) -> None:
    """Write a csv of the rows of ``frames`` in the format of `csv_body`, one frame at a time."""
    write_csv_parts(
        path,
        headings,
        (csv_body(f, headings, decimal_comma=decimal_comma) for f in frames),
        decimal_comma,
    )


def write_csv_parts(
    path: Path, headings: Mapping[str, str], bodies: Iterable[bytes], decimal_comma: bool = False
) -> None:
    """Write a csv for Excel's Mexican settings: UTF-8 with BOM, comma, decimal point.

    With ``decimal_comma`` it has semicolons and decimal commas, for Excel's Spanish settings.
    ``bodies`` are results of `csv_body` for successive rows.
    """
    empty = pl.DataFrame(schema=dict.fromkeys(headings.values(), pl.String))
    head = empty.write_csv(separator=";" if decimal_comma else ",")
    with path.open("wb") as file:
        file.write(codecs.BOM_UTF8 + head.encode())
        waiting = 0
        for body in bodies:
            waiting += file.write(body)
            if waiting >= _SYNC_BYTES:  # Now, while others compute, and not all of it at the end.
                file.flush()
                os.fsync(file.fileno())
                waiting = 0


def csv_body(
    frame: pl.DataFrame, headings: Mapping[str, str], *, decimal_comma: bool = False
) -> bytes:
    """Return the rows as lines of a csv, without its heading.

    A text that Excel would take for a formula is prefixed with an apostrophe; numbers are not.
    """
    part = frame.select(headings.keys())
    # Most columns have no such text, so only those that do are escaped.
    texts = part.select(pl.col(pl.String).str.contains(FORMULA_PATTERN).any())
    harmful = [name for name in texts.columns if texts[name].item()]
    part = part.with_columns(escape_formula(pl.col(name)) for name in harmful)
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
    """Write ``frame`` in the format of the extension of ``path``, atomically.

    Raises `InvalidInputError` for an extension that is not .xlsx, .csv or .parquet, a path that is
    a folder, a folder that does not exist, or more rows than a sheet holds.
    """
    kind = path.suffix.lower()
    if kind not in {".xlsx", ".csv", ".parquet"}:
        raise InvalidInputError(
            f"No sé escribir {path.name}.", hint="Termínelo en .xlsx, .csv o .parquet."
        )
    if path.is_dir():
        raise InvalidInputError(f"{path} es una carpeta.", hint="Indique un archivo.")
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(
            f"No existe la carpeta {path.absolute().parent}.", hint="Créela o indique otra."
        )
    if kind == ".xlsx" and len(frame) > MAX_SHEET_ROWS:
        raise InvalidInputError(
            f"Son {len(frame):,} renglones "
            f"y una hoja de Excel tiene lugar para {MAX_SHEET_ROWS:,}.",
            hint="Guárdelo como .csv o .parquet, o un mostrador a la vez.",
        )
    with replace_file(path) as partial:
        if kind == ".xlsx":
            with scratch.temporary_folder() as folder:
                write_workbook(partial, [frame], headings, folder, formats=formats)
        elif kind == ".csv":
            write_csv(partial, [frame], headings)
        else:
            frame.select(headings.keys()).rename(dict(headings)).write_parquet(partial)
