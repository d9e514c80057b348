"""Files that people open: workbooks and csv, with the headings they know."""

from __future__ import annotations

import codecs
import datetime as dt
import io
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

MAX_SHEET_ROWS: Final = 1_048_576 - 1
"""Rows of data that an Excel sheet holds below its heading."""

_FIXED_CREATION_DATE: Final = dt.datetime(2000, 1, 1)  # noqa: DTZ001  # a workbook's properties know no time zone
_FORMULA_PATTERN: Final = r"^\s*[=+\-@\t\r]"
_NUMBER_PATTERN: Final = r"^[+-]?(\d+([.,]\d+)*|[.,]\d+)$"
_FORMATS: Final = {pl.Int64: "0", pl.Float64: "#,##0.######", pl.Date: "yyyy-mm-dd"}
"""How a column is shown that has no format of its own."""

MAX_TEXT_UNITS: Final = 32_767
"""UTF-16 code units that a cell of Excel holds."""

_MAX_WIDTH_CHARACTERS: Final = 42
_EXACT_INTEGER_LIMIT: Final = 10**15
"""Excel holds 15 digits of a number; a longer code stays whole only as a text."""

_COMPRESSION_LEVEL: Final = 3
"""Of 9. At 6 a workbook is a seventh smaller and takes half as long again."""

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

    ``headings`` maps the columns to write, in order, to what people read. All frames are of one
    schema and hold at most `MAX_SHEET_ROWS` rows together; each is asked for when the one before lies
    in ``scratch``, a folder, and how the rows are divided into them makes no difference. The sheet
    lies uncompressed in the system's folder for temporary files until it is done. ``formats`` maps
    columns to number formats. ``created`` goes into the file's properties.

    A text stays a text: what begins with = is no formula, what looks like an address no link. It
    is cut after `MAX_TEXT_UNITS`. NaN and infinity, which Excel has no number for, are empty cells.
    Raises `OSError` where the file cannot be written.
    """
    import xlsxturbo  # noqa: PLC0415  # only those who write a workbook should pay for it

    path.touch()  # says at once, and as an OSError, that a file cannot be made here
    with TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        rows = _spool_frames(frames, headings, folder)
        book = folder / "libro.xlsx"
        xlsxturbo.df_to_xlsx(
            rows,
            book,
            sheet_name="IPP",
            freeze_panes=True,
            autofilter=True,
            constant_memory=True,
            compression_level=_COMPRESSION_LEVEL,
            header_format={"bold": True, "border_bottom": "thin"},
            column_widths=rows.widths,
            column_formats=rows.column_formats(headings, formats or {}),
        )
        _set_properties(book, created)
        shutil.move(book, path)


class _SpooledRows(pl.DataFrame):
    """Rows that lie in files, for xlsxturbo, which takes a frame and asks it for one row at a time.

    ``parts`` are Arrow files; ``extents`` are of all rows, by column. The frame itself is empty.
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
        """Return the number format of each heading that Excel would by itself show otherwise.

        A column without a filled cell has none: each of its cells would be written for it. Nor has
        a heading with an asterisk: to xlsxturbo it would be a pattern, and name others too.
        """
        found: dict[str, ColumnFormat] = {}
        columns = zip(headings, self.schema.items(), self._extents, strict=True)
        for name, (heading, dtype), extent in columns:
            form = formats.get(name) or _FORMATS.get(dtype.base_type(), "General")
            if form != "General" and extent.filled and "*" not in heading:
                found[heading] = {"num_format": form}
        return found

    @property
    def height(self) -> int:
        return self._extents[0].cells

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def iter_rows(self, **_: Any) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        """Give the rows in order, as tuples; one file is in memory at a time."""
        for part in self._parts:
            yield from self._excel_safe_rows(pl.read_ipc(part)).iter_rows()

    def _excel_safe_rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Make texts of the numbers that Excel would round, and cut those that it has no room for."""
        extents = dict(zip(frame.columns, self._extents, strict=True))
        long = [name for name, extent in extents.items() if extent.units > MAX_TEXT_UNITS]
        wide = [name for name, extent in extents.items() if extent.whole >= _EXACT_INTEGER_LIMIT]
        return frame.with_columns(
            *(pl.col(name).cast(pl.String) for name in wide),
            *(pl.col(name).map_elements(_cut_text, pl.String) for name in long),
        )


@dataclass(slots=True)
class _ColumnExtent:
    """How far the cells of a column go.

    ``filled`` counts those that are not empty, ``characters`` is what the widest takes as it is
    shown, ``units`` bounds the UTF-16 code units of its texts, ``whole`` is the largest of its
    whole numbers without its sign.
    """

    cells: int = 0
    filled: int = 0
    characters: int = 0
    units: int = 0
    whole: int = 0

    def add(self, cells: pl.Series) -> None:
        """Take in more cells of the column."""
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
            texts = cells.cast(pl.String).str
            characters = int(str(texts.len_chars().max() or 0))
            self.units = max(self.units, int(str(texts.len_bytes().max() or 0)))
        self.characters = max(self.characters, characters)


def _spool_frames(
    frames: Iterable[pl.DataFrame], headings: Mapping[str, str], folder: Path
) -> _SpooledRows:
    """Write each of ``frames`` to a file of ``folder``, and find out what a sheet's head depends on."""
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
    """Return as much of ``text`` as a cell of Excel holds, no character halved."""
    return text.encode("utf-16-le")[: 2 * MAX_TEXT_UNITS].decode("utf-16-le", "ignore")


def _set_properties(book: Path, created: dt.datetime) -> None:
    """Write our properties over the library's, which say when it wrote the workbook.

    They are the last but one file of the archive: what lies before them stays as it is.
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
            archive.writestr(info, content, ZIP_STORED)  # as any version of zlib would have it


def escape_formula(text: pl.Expr) -> pl.Expr:
    """Put an apostrophe before a text that a spreadsheet would run as a formula; a plain number is none."""
    return (
        pl.when(text.str.contains(_NUMBER_PATTERN))
        .then(text)
        .otherwise(text.str.replace(_FORMULA_PATTERN, "'$0"))
    )


def write_csv(
    path: Path,
    frames: Iterable[pl.DataFrame],
    headings: Mapping[str, str],
    *,
    decimal_comma: bool = False,
) -> None:
    """Write a csv of the rows of ``frames`` as `csv_body` has them; they are written as they come, one at a time."""
    write_csv_parts(
        path,
        headings,
        (csv_body(f, headings, decimal_comma=decimal_comma) for f in frames),
        decimal_comma,
    )


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


def csv_body(
    frame: pl.DataFrame, headings: Mapping[str, str], *, decimal_comma: bool = False
) -> bytes:
    """The rows as lines of a csv, without its heading.

    A text that Excel would take for a formula gets an apostrophe before it; numbers are left alone.
    """
    part = frame.select(headings.keys())
    texts = part.select(
        pl.col(pl.String).str.contains(_FORMULA_PATTERN).any()
    )  # most have nothing of the kind
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
    """Write ``frame`` as the kind of file that the ending of ``path`` names; a whole file or none.

    Raises `InvalidInputError` for an ending that is not .xlsx, .csv or .parquet, a folder that is not there, or
    more rows than a sheet holds.
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
            f"Son {len(frame):,} renglones y una hoja de Excel tiene lugar para {MAX_SHEET_ROWS:,}.",
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
