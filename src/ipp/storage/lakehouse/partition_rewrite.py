"""Rewrite partitions of a Delta table: their files first, then one commit that adds all of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions
from typing_extensions import override

from ipp.core.contract import Kind, Table
from ipp.storage.lakehouse.lakehouse import PartitionRewrite
from ipp.storage.lakehouse.maintenance import COMPRESSION_LEVEL, ROW_GROUP_ROWS

_DELTA_TYPES: Final = {
    Kind.ID: "long",
    Kind.TEXT: "string",
    Kind.NUMBER: "double",
    Kind.COUNT: "long",
    Kind.DATE: "date",
    Kind.FLAG: "boolean",
}


@dataclass(slots=True)
class DeltaPartitionRewrite(PartitionRewrite):
    """Files of ``table`` in its ``folder``, which no version of the table has until the commit.

    ``configuration`` is that of a new table. A process that is killed leaves its files to
    `vacuum_table`.
    """

    table: Table
    folder: Path
    configuration: Mapping[str, str]
    _files: list[AddAction] = field(default_factory=list)

    @override
    def add_partition(self, value: object, rows: pl.DataFrame) -> None:
        table = self.table
        values = {table.labels[name]: str(value) for name in table.partition_by}
        parent = self.folder.joinpath(*(f"{label}={text}" for label, text in values.items()))
        parent.mkdir(parents=True, exist_ok=True)
        file = parent / f"part-{len(self._files):05}-{uuid.uuid4()}-c000.zstd.parquet"
        # The action goes first, so that the file is discarded even where writing it fails.
        path = file.relative_to(self.folder).as_posix()
        self._files.append(AddAction(path, 0, values, 0, data_change=True, stats=""))
        rows.drop(table.partition_by).rename(dict(table.labels), strict=False).write_parquet(
            file,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            row_group_size=ROW_GROUP_ROWS if table.sort_by else None,
        )
        self._files[-1].size = file.stat().st_size
        self._files[-1].modification_time = int(time.time() * 1000)
        self._files[-1].stats = self._bounds(rows)

    @override
    def commit(self, metadata: Mapping[str, Any]) -> None:
        table, uri, files = self.table, self.folder.absolute().as_uri(), self._files
        # An error may come after the commit is written, so from here on its files are the table's.
        self._files = []
        properties = CommitProperties(custom_metadata=dict(metadata))
        partition_labels = [table.labels[name] for name in table.partition_by]
        if not DeltaTable.is_deltatable(uri):
            create_table_with_add_actions(
                uri, _merge_schema(table, []), files, partition_by=partition_labels,
                configuration=self.configuration, commit_properties=properties,
            )  # fmt: skip
            return
        stored = DeltaTable(uri)
        replaced = [
            (label, "in", sorted({str(file.partition_values[label]) for file in files}))
            for label in partition_labels
        ]
        stored.create_write_transaction(
            [*files], "overwrite", _merge_schema(table, stored.schema().fields),
            partition_by=partition_labels, partition_filters=replaced or None,
            commit_properties=properties,
        )  # fmt: skip

    def discard(self) -> None:
        """Remove the files that were not committed."""
        for file in self._files:
            (self.folder / file.path).unlink(missing_ok=True)

    def _bounds(self, rows: pl.DataFrame) -> str:
        """Return the statistics of a file that its table's log keeps, those of the key, as JSON."""
        table = self.table
        key = [rows[name] for name in table.key if name not in table.partition_by]
        return json.dumps(
            {
                "numRecords": rows.height,
                "minValues": {table.labels[column.name]: column.min() for column in key},
                "maxValues": {table.labels[column.name]: column.max() for column in key},
                "nullCount": {table.labels[column.name]: column.null_count() for column in key},
            },
            default=str,
        )


def _merge_schema(table: Table, stored: list[Field]) -> Schema:
    """Return the columns that a table has, and those of its contract that are new."""
    labels = {column.name for column in stored}
    new = [
        Field(column.label, PrimitiveType(_DELTA_TYPES[column.kind]), nullable=True)
        for column in table.columns
        if column.label not in labels
    ]
    return Schema([*stored, *new])
