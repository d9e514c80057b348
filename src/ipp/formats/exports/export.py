"""The description of an export: job, counters and file format."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ipp.errors import InvalidInputError


class ExportFormat(StrEnum):
    """A file format of exports."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """The media type (MIME type) of the format."""
        return MEDIA_TYPES[self]


MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class Export:
    """A file of what a job published for ``mostradores``, which are ascending.

    ``decimal_comma`` applies to csv only: semicolons and decimal commas. ``created`` is the
    creation time in a workbook's properties. ``whole`` is true where the mostradores are all of
    the job's.
    """

    job_id: str
    mostradores: tuple[int, ...]
    format: ExportFormat
    decimal_comma: bool
    created: dt.datetime
    whole: bool

    @property
    def object_key(self) -> str:
        """The object key of the file, if it was written in advance."""
        name = "todos" if self.whole else str(self.mostradores[0])
        comma = "-es" if self.decimal_comma and self.format is ExportFormat.CSV else ""
        return f"ipp-processed/{self.job_id}/descargas/{name}{comma}.{self.format}"


class TooLongError(InvalidInputError):
    """An export has more rows than a file of its format can hold."""

    code = "no_cabe"
