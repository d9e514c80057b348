"""What a table promises: columns, types, bounds, units, and the names people know them by.

A contract is data. The importer reads it to check a file cell by cell, the lakehouse to store a table, the
documentation to describe it; none of them knows a column by itself.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

# A contract is also read where there is no Polars: by what answers questions and computes nothing.
if TYPE_CHECKING:
    import polars as pl


class Kind(Enum):
    """How the cells of a column are written by people, and what they become."""

    ID = "identificador"
    """Digits; leading zeros, spaces around and a trailing ``.0`` do not matter. Int64."""
    TEXT = "texto"
    """Anything, trimmed. String."""
    NUMBER = "número"
    """A decimal number, Float64."""
    COUNT = "entero"
    """A whole number, Int64."""
    DATE = "fecha"
    """ISO or dd/mm/yyyy. Date."""
    FLAG = "sí/no"
    """Sí/no, true/false, 1/0, x. Boolean."""

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type that a column of this kind is stored as."""
        import polars as pl  # noqa: PLC0415  # who only answers by a contract needs no Polars

        made: pl.DataType = getattr(pl, _POLARS_TYPES[self])()
        return made

    @property
    def sql(self) -> str:
        """The type that SQL has for a column of this kind."""
        return _SQL_TYPES[self]


_POLARS_TYPES: Final[Mapping[Kind, str]] = {
    Kind.ID: "Int64",
    Kind.TEXT: "String",
    Kind.NUMBER: "Float64",
    Kind.COUNT: "Int64",
    Kind.DATE: "Date",
    Kind.FLAG: "Boolean",
}

_SQL_TYPES: Final[Mapping[Kind, str]] = {
    Kind.ID: "BIGINT",
    Kind.TEXT: "STRING",
    Kind.NUMBER: "DOUBLE",
    Kind.COUNT: "BIGINT",
    Kind.DATE: "DATE",
    Kind.FLAG: "BOOLEAN",
}


def normalise_label(label: str) -> str:
    """Reduce a column's heading to what its spellings share: lower case, no accents, letters and digits only."""
    plain = unicodedata.normalize("NFKD", label).casefold()
    return "".join(c for c in plain if c.isalnum())


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``name`` in code, ``label`` where people read it.

    ``minimum`` and ``maximum`` are inclusive and in ``unit``. ``required`` means that no cell may be empty;
    ``default`` fills a column that a file does not bring at all, and its empty cells. ``choices`` closes a
    text column. ``aliases`` are further headings that files in use carry. An id is shown with at least ``digits``
    digits: postal code 6700 is 06700.
    """

    name: str
    label: str
    kind: Kind
    about: str
    unit: str = ""
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    default: str | float | bool | None = None
    aliases: tuple[str, ...] = ()
    digits: int = 0

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type the column is stored as."""
        return self.kind.dtype

    @property
    def cell_format(self) -> str:
        """How a spreadsheet shows a cell of the column, as its number format."""
        if self.kind is Kind.ID:
            return "0" * max(self.digits, 1)
        if self.kind is Kind.NUMBER:
            return "#,##0.00" if self.unit.startswith("MXN") else "#,##0.######"
        return {Kind.COUNT: "#,##0", Kind.DATE: "yyyy-mm-dd"}.get(self.kind, "General")

    @property
    def spellings(self) -> frozenset[str]:
        """Every heading, reduced by `normalise_label`, that means this column."""
        return frozenset(normalise_label(s) for s in (self.name, self.label, *self.aliases))


@dataclass(frozen=True)
class Table:
    """A named table: its columns in order, its key, how it is laid out, and which tables its ids come from.

    ``key`` columns are required and unique together. ``references`` maps a column to the name of the table
    whose key it must be found in. By ``sort_by`` the rows of a partition lie in order, so that who asks for few of
    its values reads little else; only a table with one partition column has it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by their name in code."""
        return {column.name: column for column in self.columns}

    @cached_property
    def schema(self) -> pl.Schema:
        """Names in code and types."""
        import polars as pl  # noqa: PLC0415  # who only answers by a contract needs no Polars

        return pl.Schema({c.name: c.dtype for c in self.columns})

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """From the names in code to the names people read."""
        return {c.name: c.label for c in self.columns}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """From the names people read to the names in code."""
        return {c.label: c.name for c in self.columns}

    @cached_property
    def formats(self) -> Mapping[str, str]:
        """From the names in code to how a spreadsheet shows the column."""
        return {c.name: c.cell_format for c in self.columns}

    def conform_rows(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Give back exactly this table's columns, in order and type; a column that is missing is null."""
        import polars as pl  # noqa: PLC0415  # who only answers by a contract needs no Polars

        have = frame.collect_schema()
        if list(have.items()) == list(
            self.schema.items()
        ):  # as nearly always: a cast of each column is a millisecond
            return frame
        return frame.select(
            (pl.col(c.name) if c.name in have else pl.lit(None).alias(c.name)).cast(c.dtype)
            for c in self.columns
        )
