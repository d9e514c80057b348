"""A result as the Statement Execution API returns it: its columns, and its rows in chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pyspark.sql.types import DataType, DecimalType

from tests.cloud.workspace.sql import Found

_INLINE: Final = 25 * 2**20
"""Bytes that are sent with an answer at most."""

_TYPE_NAMES: Final[Mapping[str, str]] = {
    "bigint": "LONG",
    "int": "INT",
    "smallint": "SHORT",
    "tinyint": "BYTE",
    "void": "NULL",
}
"""Where the API calls a type otherwise than SQL does."""


class Result:
    """What a statement found, at most ``chunk_rows`` rows a chunk."""

    def __init__(self, statement_id: str, found: Found, chunk_rows: int) -> None:
        self._id = statement_id
        self._columns = found.columns
        self._total = len(found.rows)
        starts = range(0, self._total, chunk_rows)
        self._chunks = [(start, found.rows[start : start + chunk_rows]) for start in starts]

    @property
    def too_large(self) -> bool:
        cells = (cell for _, rows in self._chunks for row in rows for cell in row)
        return sum(len(cell or "") for cell in cells) > _INLINE

    def manifest(self) -> dict[str, Any]:
        columns = [
            {"name": field.name, "position": number, **_type(field.dataType)}
            for number, field in enumerate(self._columns)
        ]
        return {
            "format": "JSON_ARRAY",
            "schema": {"column_count": len(columns), "columns": columns},
            "total_chunk_count": len(self._chunks),
            "chunks": [self._place(number) for number in range(len(self._chunks))],
            "total_row_count": self._total,
            "truncated": False,
        }

    def chunk(self, number: int) -> dict[str, Any] | None:
        """One chunk, with where the next is; None where there is none."""
        if number >= len(self._chunks):
            return None
        told = {**self._place(number), "data_array": [list(row) for row in self._chunks[number][1]]}
        if number + 1 < len(self._chunks):
            told["next_chunk_index"] = number + 1
            told["next_chunk_internal_link"] = (
                f"/api/2.0/sql/statements/{self._id}/result/chunks/{number + 1}"
            )
        return told

    def _place(self, number: int) -> dict[str, Any]:
        start, rows = self._chunks[number]
        return {"chunk_index": number, "row_offset": start, "row_count": len(rows)}


def _type(kind: DataType) -> dict[str, Any]:
    """A column's type by its name here, and as SQL writes it."""
    text = kind.simpleString()
    name = text.partition("(")[0].partition("<")[0]
    told: dict[str, Any] = {
        "type_name": _TYPE_NAMES.get(name, name.upper()),
        "type_text": text.upper(),
    }
    if isinstance(kind, DecimalType):
        told |= {"type_precision": kind.precision, "type_scale": kind.scale}
    return told
