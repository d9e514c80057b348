"""Which file of a job is asked for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ipp.errors import InvalidInputError


class ExportFormat(StrEnum):
    """Which kind of file."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """What browsers and programs call it."""
        return MEDIA_TYPES[self]


MEDIA_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class Export:
    """What a job published for ``mostradores``, rising, as a file.

    ``decimal_comma`` is of a csv: semicolons and decimal commas. ``created`` is the moment a workbook says it is from.
    ``whole`` tells that these are all of the job's.
    """

    job_id: str
    mostradores: tuple[int, ...]
    format: ExportFormat
    decimal_comma: bool
    created: dt.datetime
    whole: bool

    @property
    def object_key(self) -> str:
        """Where the file lies, if it was made beforehand."""
        name = "todos" if self.whole else str(self.mostradores[0])
        comma = "-es" if self.decimal_comma and self.format is ExportFormat.CSV else ""
        return f"ipp-processed/{self.job_id}/descargas/{name}{comma}.{self.format}"


class TooLongError(InvalidInputError):
    """More rows than a file of that kind holds."""

    code = "no_cabe"
