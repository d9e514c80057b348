"""Rewrite partitions of a Delta table: their files first, then one commit that adds all of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from deltalake.transaction import AddAction
from typing_extensions import override

from ipp.core.contract import Table
from ipp.storage.fence import Fence
from ipp.storage.lakehouse.file_commit import commit_files, file_statistics
from ipp.storage.lakehouse.lakehouse import PartitionRewrite
from ipp.storage.lakehouse.maintenance import COMPRESSION_LEVEL, ROW_GROUP_ROWS


@dataclass(slots=True)
class DeltaPartitionRewrite(PartitionRewrite):
    """Files of ``table`` in its ``folder``, which no version of the table has until the commit.

    ``configuration`` is that of a new table. A process that is killed leaves its files to
    `vacuum_table`.
    """

    table: Table
    folder: Path
    configuration: Mapping[str, str]
    fence: Fence | None = None
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
        self._files[-1].stats = file_statistics(table, rows)

    @override
    def commit(self, metadata: Mapping[str, Any]) -> None:
        files, self._files = self._files, []
        # An error may come after the commit is written, so its files are the table's already.
        values = {value for file in files for value in file.partition_values.values()}
        commit_files(
            self.table, self.folder, files, [*map(str, values)],
            configuration=self.configuration, metadata=metadata, fence=self.fence,
        )  # fmt: skip

    def discard(self) -> None:
        """Remove the files that were not committed."""
        for file in self._files:
            (self.folder / file.path).unlink(missing_ok=True)
