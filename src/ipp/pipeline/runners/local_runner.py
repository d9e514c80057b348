"""One machine: Delta tables in a folder, files in another, Polars, and a process for each core."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic

import narwhals as nw
import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import FAILURES
from ipp.pipeline.runners.process_pool import Crew, Lost, attempt
from ipp.pipeline.runners.runner import Kept, Kernel, Kernels, Lose, Made, Render, Rows, RowsOf
from ipp.pipeline.runners.stage_run import Work
from ipp.storage.files.file_store import Files
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

TOGETHER: Final = 32
"""Mostradores whose rows are joined at a time: few enough for any memory, enough for all cores."""

GATHERED: Final = 144
"""Mostradores whose rows are brought together in groups at a time: each time all files are opened."""

MANY: Final = 48
"""Mostradores that take longer than more processes take to begin."""

MANY_GROUPS: Final = 12
"""The same, of groups."""

_Source = pl.DataFrame | Path
"""The rows of a mostrador, or the Parquet that they lie in."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A `Runner` over a lakehouse; what stages leave is one Parquet file a mostrador."""

    lakehouse: Lakehouse
    files: Files
    scratch: Scratch
    crew: Crew = field(default_factory=lambda: Crew(1))

    def scan(self, table: Table) -> Rows:
        """The table's rows by its contract; none where it was never written."""
        return nw.from_native(self.lakehouse.scan(table))

    def frame(self, rows: pl.DataFrame) -> Rows:
        """Rows that are here already."""
        return nw.from_native(rows.lazy())

    def once(self, rows: Rows) -> Rows:
        """The rows, in memory from now on."""
        return self.frame(_native(rows).collect(engine="streaming"))

    def each(
        self, key: str, groups: Mapping[int, int], rows_of: RowsOf, kernel: Kernel, schema: pl.Schema, lose: Lose
    ) -> Rows:
        """What ``kernel`` makes of each group; the rows of few are in memory at a time."""
        made = [pl.DataFrame(schema=schema)]
        pieces = _groups(key, groups, rows_of)
        worth = len(groups) >= MANY_GROUPS
        for (group, _), found in self.crew.each(_Applying(kernel), pieces, self.scratch, worth=worth):
            if isinstance(found, Lost):
                lose(group, found.cause)
            else:
                made.append(found)
        return self.frame(pl.concat(made))

    def leave(self, source: RowsOf | Kept, kernel: Kernel, into: Kept, work: Work) -> None:
        """Write a Parquet for each mostrador to do."""
        deque(self._kept(source, kernel, into, work, _nothing, work.todo), maxlen=0)

    def keep(
        self, source: RowsOf | Kept, kernel: Kernel, into: Kept, work: Work, render: Render[Made]
    ) -> Iterator[Made]:
        """Write a Parquet for each mostrador to do and hand on what is left; done when the next is asked for."""
        return self._kept(source, kernel, into, work, render, work.kept)

    def _kept(  # as `keep`
        self, source: RowsOf | Kept, kernel: Kernel, into: Kept, work: Work, render: Render[Made], those: Sequence[int]
    ) -> Iterator[Made]:
        again = [mostrador for mostrador in those if work.again(mostrador)]
        fresh = self._rows(source, again)
        pieces = ((m, next(fresh)[1] if m in work.asked else None) for m in those)
        call = _Keeping(kernel, source.table if isinstance(source, Kept) else None, into, self.files, render)
        for (mostrador, rows), found in self.crew.each(call, pieces, self.scratch, worth=len(those) >= MANY):
            if isinstance(found, Lost):
                work.fail(mostrador, found.cause)
                continue
            yield found
            if rows is not None:
                work.progress(mostrador)
        work.check()

    def publish(self, source: Kept, kernel: Kernels, tables: Sequence[Table], work: Work) -> None:
        """Replace what each table has of the mostradores asked for; until the commit nothing of it is seen."""
        todo = work.todo
        with self.scratch.folder() as folder:
            for table in tables:
                (folder / table.title).mkdir()
                pl.DataFrame(schema=table.schema).write_parquet(folder / table.title / "none.parquet")
            call = _Publishing(kernel, source.table, tuple(tables), folder)
            pieces = self._rows(source, todo)
            for (mostrador, _), found in self.crew.each(call, pieces, self.scratch, worth=len(todo) >= MANY):
                if isinstance(found, Lost):
                    work.fail(mostrador, found.cause)
                else:
                    work.progress(mostrador)
            work.check()
            self._replace(FAILURES, work.table().lazy(), work)
            for table in tables:
                self._replace(table, pl.scan_parquet(folder / table.title), work)

    def replace_job(self, table: Table, rows: pl.DataFrame, job_id: str) -> None:
        """Replace the job's partition."""
        self.lakehouse.replace_partitions(table, rows.lazy(), [job_id])

    def _replace(self, table: Table, rows: pl.LazyFrame, work: Work) -> None:
        with self.lakehouse.writing(table):
            if set(work.asked) != set(work.mostradores):
                stored = self.lakehouse.scan(table, [work.job_id]).filter(~pl.col("mostrador").is_in(work.asked))
                rows = pl.concat([stored, table.conform(rows)])
            self.lakehouse.replace_partitions(table, rows, [work.job_id])

    def _rows(self, source: RowsOf | Kept, mostradores: Sequence[int]) -> Iterator[tuple[int, _Source]]:
        """The rows of one mostrador after the other; what was kept is read where it is looked at."""
        if isinstance(source, Kept):
            yield from ((mostrador, self.files.local(_key(source, mostrador))) for mostrador in mostradores)
            return
        for first in range(0, len(mostradores), TOGETHER):
            some = mostradores[first : first + TOGETHER]
            together = _native(source(some)).collect()
            parts = together.partition_by("mostrador", as_dict=True)
            yield from ((mostrador, parts[(mostrador,)]) for mostrador in some)


@dataclass(frozen=True, slots=True)
class _Applying:
    """What a kernel makes of the rows of a group."""

    kernel: Kernel

    def __call__(self, piece: tuple[int, pl.DataFrame]) -> pl.DataFrame | Lost:
        return attempt(self.kernel, piece[1])


@dataclass(frozen=True, slots=True)
class _Keeping(Generic[Made]):
    """Leaves what a kernel makes of a mostrador's rows, which may lie in a Parquet of ``stored``, and renders it.

    A mostrador without rows is not computed: what lies there of it is rendered.
    """

    kernel: Kernel
    stored: Table | None
    into: Kept
    files: Files
    render: Render[Made]

    def __call__(self, piece: tuple[int, _Source | None]) -> Made | Lost:
        mostrador, source = piece
        key = _key(self.into, mostrador)
        if source is None:
            return self.render(_read(self.into.table, self.files.local(key)))
        rows = _read(self.stored, source)
        made = attempt(self._computed, rows)
        if isinstance(made, Lost):
            return made
        with self.files.writing(key) as path:
            _write(made, path)
        return self.render(made)

    def _computed(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.into.table.conform(self.kernel(rows).lazy()).collect()


@dataclass(frozen=True, slots=True)
class _Publishing:
    """Writes what a kernel makes of a mostrador's rows into a folder for each table."""

    kernel: Kernels
    stored: Table
    tables: tuple[Table, ...]
    folder: Path

    def __call__(self, piece: tuple[int, _Source]) -> Lost | None:
        mostrador, source = piece
        made = attempt(self._computed, _read(self.stored, source))
        if isinstance(made, Lost):
            return made
        for table, rows in zip(self.tables, made, strict=True):
            _write(rows, self.folder / table.title / f"{mostrador:010}.parquet")
        return None

    def _computed(self, processed: pl.DataFrame) -> list[pl.DataFrame]:
        made = zip(self.tables, self.kernel(processed), strict=True)
        return [table.conform(rows.lazy()).collect() for table, rows in made]


def _groups(key: str, groups: Mapping[int, int], rows_of: RowsOf) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows of one group after the other, of those that have any."""
    for some in _gathered(groups):
        parts = _native(rows_of(some)).collect(engine="streaming").partition_by(key, as_dict=True, include_key=False)
        yield from ((group, parts.pop((group,))) for group in some if (group,) in parts)


def _gathered(groups: Mapping[int, int]) -> Iterator[list[int]]:
    """The groups in order, as many at a time as have `GATHERED` mostradores together, or one that has more."""
    some, mostradores = list[int](), 0
    for group, size in sorted(groups.items()):
        if some and mostradores + size > GATHERED:
            yield some
            some, mostradores = [], 0
        some.append(group)
        mostradores += size
    if some:
        yield some


def _read(table: Table | None, source: _Source) -> pl.DataFrame:
    """The rows, by the contract of the ``table`` that they were kept by: an older version may have begun the job."""
    if isinstance(source, pl.DataFrame):
        return source
    stored = pl.scan_parquet(source)
    return (stored if table is None else table.conform(stored)).collect()


def _write(rows: pl.DataFrame, path: Path) -> None:
    """Write what is soon read again, whole: quickly, and without what would help to skip some of it."""
    rows.write_parquet(path, compression="lz4", statistics=False)


def _nothing(_rows: pl.DataFrame) -> None:
    """Hand nothing on."""


def _key(kept: Kept, mostrador: int) -> str:
    return f"{kept.prefix}{mostrador}.parquet"


def _native(rows: Rows) -> pl.LazyFrame:
    native = rows.to_native()
    assert isinstance(native, pl.LazyFrame)  # all rows here came from here
    return native
