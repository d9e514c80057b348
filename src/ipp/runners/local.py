"""One machine: Delta tables in a folder, files in another, and Polars."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import narwhals as nw
import polars as pl

from ipp.core.contract import Table
from ipp.files.base import Files
from ipp.files.scratch import Scratch
from ipp.lakehouse.base import Lakehouse
from ipp.runners.base import Kept, Kernel, Kernels, Progress, Rows, RowsOf

TOGETHER: Final = 16
"""Mostradores whose rows are joined at a time: few enough for any memory, enough for both cores."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A `Runner` over a lakehouse; what stages leave is one Parquet file a mostrador."""

    lakehouse: Lakehouse
    files: Files
    scratch: Scratch

    def scan(self, table: Table) -> Rows:
        """The table's rows by its contract; none where it was never written."""
        return nw.from_native(self.lakehouse.scan(table))

    def frame(self, rows: pl.DataFrame) -> Rows:
        """Rows that are here already."""
        return nw.from_native(rows.lazy())

    def once(self, rows: Rows) -> Rows:
        """The rows, in memory from now on."""
        return self.frame(_native(rows).collect(engine="streaming"))

    def each(self, key: str, groups: Collection[int], rows_of: RowsOf, kernel: Kernel, schema: pl.Schema) -> Rows:
        """What ``kernel`` makes of each group; the rows of one are in memory at a time."""
        made = [pl.DataFrame(schema=schema)]
        for group in sorted(groups):
            rows = _native(rows_of([group])).collect(engine="streaming")
            made += [kernel(part) for part in rows.partition_by(key)]
        return self.frame(pl.concat(made))

    def leave(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, progress: Progress) -> None:
        """Write one mostrador's Parquet after the other."""
        deque(self.keep(source, kernel, into, progress), maxlen=0)

    def keep(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, progress: Progress) -> Iterator[pl.DataFrame]:
        """Write one mostrador's Parquet after the other and hand on its rows; done when the next is asked for."""
        for mostrador, rows in self._parts(source, into.mostradores):
            made = into.table.conform(kernel(rows).lazy()).collect()
            with self.files.writing(_key(into, mostrador)) as path:
                made.write_parquet(path)
            yield made
            progress(mostrador)

    def publish(self, source: Kept, kernel: Kernels, tables: Sequence[Table], job_id: str, progress: Progress) -> None:
        """Replace the job's rows of each table; until the commit nothing of it is seen."""
        with self.scratch.folder() as folder:
            for table in tables:
                (folder / table.title).mkdir()
                pl.DataFrame(schema=table.schema).write_parquet(folder / table.title / "none.parquet")
            for mostrador, processed in self._parts(source, source.mostradores):
                for table, made in zip(tables, kernel(processed), strict=True):
                    rows = table.conform(made.lazy()).collect()
                    rows.write_parquet(folder / table.title / f"{mostrador:010}.parquet")
                progress(mostrador)
            for table in tables:
                self.lakehouse.replace_partitions(table, pl.scan_parquet(folder / table.title), [job_id])

    def _parts(self, source: RowsOf | Kept, mostradores: Sequence[int]) -> Iterator[tuple[int, pl.DataFrame]]:
        """The rows of one mostrador after the other."""
        if isinstance(source, Kept):
            for mostrador in mostradores:
                stored = pl.scan_parquet(self.files.local(_key(source, mostrador)))
                yield mostrador, source.table.conform(stored).collect()  # an older version may have begun the job
            return
        for first in range(0, len(mostradores), TOGETHER):
            some = mostradores[first : first + TOGETHER]
            together = _native(source(some)).collect()
            parts = together.partition_by("mostrador", as_dict=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in some)


def _key(kept: Kept, mostrador: int) -> str:
    return f"{kept.prefix}{mostrador}.parquet"


def _native(rows: Rows) -> pl.LazyFrame:
    native = rows.to_native()
    assert isinstance(native, pl.LazyFrame)  # all rows here came from here
    return native
