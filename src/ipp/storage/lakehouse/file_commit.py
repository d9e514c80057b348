"""Commit Parquet files to a Delta table as they lie, in place of partitions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, create_table_with_add_actions

from ipp.core.contract import Kind, Table
from ipp.storage.fence import Fence
from ipp.storage.lakehouse.commit_fence import add_transaction, check_commit

_DELTA_TYPES: Final = {
    Kind.ID: "long",
    Kind.TEXT: "string",
    Kind.NUMBER: "double",
    Kind.COUNT: "long",
    Kind.DATE: "date",
    Kind.FLAG: "boolean",
}


def commit_files(
    table: Table,
    folder: Path,
    files: Sequence[AddAction],
    values: Collection[str],
    *,
    configuration: Mapping[str, str],
    metadata: Mapping[str, Any] = MappingProxyType({}),
    fence: Fence | None = None,
) -> None:
    """Replace the partitions ``values`` by ``files``, which lie in the table's ``folder``.

    A table without partitions is replaced as a whole. A new one gets ``configuration``; the commit
    keeps ``metadata``. A table written by an older version of IPP gains the columns that are new.
    Raises `SupersededError` if ``fence`` is not held, or the table has a commit by a later holder.
    """
    uri = folder.absolute().as_uri()
    properties = add_transaction(fence, CommitProperties(custom_metadata=dict(metadata)))
    labels = [table.labels[name] for name in table.partition_by]
    if not DeltaTable.is_deltatable(uri):
        check_commit(fence, None)
        create_table_with_add_actions(
            uri, _merge_schema(table, []), [*files], partition_by=labels,
            configuration=configuration, commit_properties=properties,
        )  # fmt: skip
        return
    stored = DeltaTable(uri)
    check_commit(fence, stored)
    replaced = [(label, "in", sorted(values)) for label in labels]
    stored.create_write_transaction(
        [*files], "overwrite", _merge_schema(table, stored.schema().fields), partition_by=labels,
        partition_filters=replaced or None, commit_properties=properties,
    )  # fmt: skip


def key_columns(table: Table) -> list[str]:
    """Return the names of the key's columns that a file has: all but the partition's."""
    return [name for name in table.key if name not in table.partition_by]


def file_statistics(table: Table, rows: pl.DataFrame) -> str:
    """Return the statistics of a file that its table's log keeps, those of the key, as JSON.

    ``rows`` has the `key_columns`, by name in code.
    """
    key = {table.labels[name]: rows[name] for name in key_columns(table)}
    return json.dumps(
        {
            "numRecords": rows.height,
            "minValues": {label: column.min() for label, column in key.items()},
            "maxValues": {label: column.max() for label, column in key.items()},
            "nullCount": {label: column.null_count() for label, column in key.items()},
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
