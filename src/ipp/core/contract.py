"""Table contracts: columns, types, bounds, units, and the names that people read.

A contract is data. The importer reads it to check a file cell by cell, the lakehouse to store a
table, the documentation to describe it; none of them has a column of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ipp.errors import InvalidInputError

# Processes that only answer queries read contracts too, and they run without Polars.
if TYPE_CHECKING:
    import polars as pl


class Kind(Enum):
    """The kind of a column: how people write its cells, and the type they are stored as."""

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
        """Polars type that a column of this kind is stored as."""
        import polars as pl  # noqa: PLC0415  # a process that only queries has no Polars

        dtype: pl.DataType = getattr(pl, _POLARS_TYPES[self])()
        return dtype

    @property
    def sql(self) -> str:
        """The SQL type of a column of this kind."""
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
    """Return a heading in lower case, without accents, only its letters and digits."""
    plain = unicodedata.normalize("NFKD", label).casefold()
    return "".join(c for c in plain if c.isalnum())


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``name`` in code, ``label`` where people read it.

    ``minimum`` and ``maximum`` are inclusive and in ``unit``. ``required`` means that no cell may
    be empty; ``default`` fills empty cells, and a column that a file lacks. ``choices`` are the
    only values of a text column. ``aliases`` are other headings found in files in use. An id is
    shown with at least ``digits`` digits: postal code 6700 is 06700.
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
        """The Polars type that the column is stored as."""
        return self.kind.dtype

    @property
    def cell_format(self) -> str:
        """Number format of the column's cells in a spreadsheet."""
        if self.kind is Kind.ID:
            return "0" * max(self.digits, 1)
        if self.kind is Kind.NUMBER:
            return "#,##0.00" if self.unit.startswith("MXN") else "#,##0.######"
        return {Kind.COUNT: "#,##0", Kind.DATE: "yyyy-mm-dd"}.get(self.kind, "General")

    @property
    def spellings(self) -> frozenset[str]:
        """Every heading of this column, reduced by `normalise_label`."""
        return frozenset(normalise_label(s) for s in (self.name, self.label, *self.aliases))


@dataclass(frozen=True)
class Table:
    """A named table: columns in order, primary key, layout and foreign keys.

    ``name`` is ``schema.table``; the catalog is a setting of the process, because several stages
    may share a metastore. ``key`` columns are required and unique together. ``references`` maps a
    column to the name of the table whose key must contain its values. The rows of a partition are
    sorted by ``sort_by``, so that a query for a few of its values skips most of the data; only a
    table with one partition column has it. ``summable`` is the column of which rows with one key
    may be parts, such as the tickets of a day; a file's rows are added up where ``sums_rows``
    holds.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    summable: str = ""
    sums_rows: bool = False

    def adding_rows(self) -> Table:
        """Return the table for files whose rows of one key are added up, negative ones too.

        Raises `InvalidInputError` where no column can be added up.
        """
        if not self.summable:
            raise InvalidInputError(
                f"Los renglones de {self.title} no se suman.", hint="Quite --sumar."
            )
        columns = tuple(
            replace(c, minimum=None if c.maximum is None else -c.maximum)
            if c.name == self.summable
            else c
            for c in self.columns
        )
        return replace(self, columns=columns, sums_rows=True)

    def full_name(self, catalog: str) -> str:
        """Return the three-part name of the table in ``catalog``."""
        return f"{catalog}.{self.name}"

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """Columns by their name in code."""
        return {column.name: column for column in self.columns}

    @cached_property
    def schema(self) -> pl.Schema:
        """The Polars schema: types by name in code."""
        import polars as pl  # noqa: PLC0415  # a process that only queries has no Polars

        return pl.Schema({c.name: c.dtype for c in self.columns})

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The labels that people read, by name in code."""
        return {c.name: c.label for c in self.columns}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The names in code, by the label that people read."""
        return {c.label: c.name for c in self.columns}

    @cached_property
    def formats(self) -> Mapping[str, str]:
        """The number formats of a spreadsheet, by name in code."""
        return {c.name: c.cell_format for c in self.columns}

    def conform_rows(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return exactly this table's columns, in order and type; a missing column is null."""
        import polars as pl  # noqa: PLC0415  # a process that only queries has no Polars

        existing = frame.collect_schema()
        # Nearly every frame conforms already, and casting each of its columns takes a millisecond.
        if list(existing.items()) == list(self.schema.items()):
            return frame
        return frame.select(
            (pl.col(c.name) if c.name in existing else pl.lit(None).alias(c.name)).cast(c.dtype)
            for c in self.columns
        )
