"""Import a person's file into a table: read, check, merge by key, commit once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import IMPORTABLE_TABLES
from ipp.errors import InvalidInputError, RejectedRowsError, UnreadableFileError
from ipp.formats.intake.file_reader import read_cells, translate_read_errors
from ipp.formats.intake.import_notice import import_notices
from ipp.formats.intake.rejection import (
    describe_first_rejections,
    list_refused_cells,
    list_repeated_rows,
    write_rejections,
)
from ipp.formats.intake.row_check import KnownIds, check_rows, match_headings
from ipp.formats.intake.staging import StagedPartition, stage_rows, staged_partitions
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.lakehouse import Lakehouse

_SHOWN_EXAMPLES: Final = 3
"""Rejected cells that a message shows."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of an import, in rows.

    ``table`` is the table's title. ``rows_added`` counts new keys and ``rows_changed`` stored keys
    that got other values. ``rejections`` is the file with the rejected rows, None where there are
    none. ``ignored_columns`` are the headings that name no column of the table, and ``warnings``
    notices about accepted values that may be a mistake.
    """

    table: str
    rows_read: int
    rows_accepted: int
    rows_rejected: int
    rows_added: int
    rows_changed: int
    changed: bool
    rejections: Path | None
    ignored_columns: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingChanges:
    """The rows that an import is about to add or change, sorted by key.

    ``before`` has the stored values, without the new rows, and ``after`` the ones to write.
    ``file_columns`` are the columns that the file has.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    file_columns: Collection[str]


ApproveChanges = Callable[[PendingChanges], bool]
"""A callback that returns whether an import may write its pending changes."""


def import_file(
    table: Table,
    file: Path,
    lakehouse: Lakehouse,
    scratch: Scratch,
    *,
    rejections: Path,
    today: dt.date,
    allow_rejections: bool = False,
    agree: ApproveChanges | None = None,
) -> ImportReport:
    """Merge the rows of ``file`` into ``table`` by key, in one commit, or none if nothing differs.

    ``rejections`` is the folder for the list of rejected rows. ``agree`` is called under the write
    lock; where it returns False nothing is written, and the report counts what would have been.
    Raises `UnreadableFileError`, `MissingColumnError`, `InvalidInputError` where a referenced table
    was never imported, and `RejectedRowsError` for a rejected row without ``allow_rejections``.
    """
    known = _known_ids(table, lakehouse)
    listing = rejections / f"rechazos-{table.title}-{file.stem}.csv"
    with scratch.temporary_folder() as folder:
        cells = read_cells(file, folder, table.columns)
        positions = match_headings(table, file, cells.headings, sheet=cells.sheet)
        with translate_read_errors(file):
            rows = check_rows(table, cells, positions, known, today)
            folders, refused = stage_rows(table, rows, folder / "rows")
        with lakehouse.write_lock(table):
            stored, absent = lakehouse.scan_table(table), table.schema.keys() - positions.keys()
            staged = staged_partitions(table, folders, stored, absent)
            merged = _merge_partitions(table, staged, folder / "parts", shown=agree is not None)
            ignored = _ignored_headings(cells.headings, positions.values())
            report = _build_report(table, merged, refused, listing, ignored)
            report = replace(report, warnings=import_notices(table, folders, lakehouse))
            _write_rejections(table, file, rows, merged, report, listing)
            if report.rejections and not allow_rejections:
                raise _rejected_error(file, listing, report)
            if agree and not agree(merged.pending_changes(table, positions)):
                return replace(report, changed=False)
            merged.commit_partitions(table, lakehouse)
    return report


@dataclass(frozen=True, slots=True)
class TableImporter:
    """Importer of files into the tables of ``lakehouse``, with temporary files in ``scratch``."""

    lakehouse: Lakehouse
    scratch: Scratch

    def import_file(
        self,
        table: Table,
        file: Path,
        *,
        rejections: Path,
        today: dt.date,
        allow_rejections: bool = False,
        agree: ApproveChanges | None = None,
    ) -> ImportReport:
        """Merge the rows of ``file`` into ``table``, as the function `import_file` does."""
        return import_file(
            table, file, self.lakehouse, self.scratch,
            rejections=rejections, today=today, allow_rejections=allow_rejections, agree=agree,
        )  # fmt: skip


def _write_rejections(
    table: Table,
    file: Path,
    rows: pl.LazyFrame,
    merged: _MergedPartitions,
    report: ImportReport,
    listing: Path,
) -> None:
    """Write the list of rejected rows, replacing that of an earlier import.

    Raises `UnreadableFileError` for a file without rows.
    """
    if report.rows_read == 0:
        raise UnreadableFileError(
            f"{file.name} sólo tiene encabezados.",
            hint="Ponga al menos un renglón de datos debajo.",
        )
    listing.unlink(missing_ok=True)
    if report.rejections:
        write_rejections(
            listing, list_refused_cells(table, rows), list_repeated_rows(table, merged.repeated)
        )


def _known_ids(table: Table, lakehouse: Lakehouse) -> Mapping[str, KnownIds]:
    """Return, by column of ``table``, the ids that it refers to.

    Raises `InvalidInputError` where the table that has them was never imported.
    """
    known = {}
    for column, name in table.references.items():
        (target,) = (other for other in IMPORTABLE_TABLES.values() if other.name == name)
        if not lakehouse.table_exists(target):
            raise InvalidInputError(
                f"No se puede importar {table.title}: la tabla {target.title} está vacía.",
                hint=f"Importe primero {target.title}.",
            )
        ids = lakehouse.scan_table(target).select(target.key[0]).collect().to_series()
        known[column] = KnownIds(target.title, ids)
    return known


@dataclass(slots=True)
class _MergedPartitions:
    """The partitions that an import changes, each in a file, and totals over all partitions."""

    files: list[Path]
    values: list[object]
    repeated: list[pl.DataFrame]
    before: list[pl.DataFrame]
    after: list[pl.DataFrame]
    rows: int = 0
    added: int = 0
    changed: int = 0

    def add_partition(self, part: StagedPartition, folder: Path) -> None:
        """Add a partition to the totals, and keep its content if it differs from what is stored."""
        if not part.repeated.is_empty():
            self.repeated.append(part.repeated)
        self.rows += part.rows
        self.added += part.added
        self.changed += part.changed
        if part.added or part.changed:
            file = folder / f"{len(self.files):06}.parquet"
            # One row group reaches the lakehouse as one batch, and only within a batch is the order
            # of rows kept.
            part.content.write_parquet(file, compression="lz4", row_group_size=part.content.height)
            self.files.append(file)
            self.values.append(part.value)

    def record_changes(self, table: Table, part: StagedPartition) -> None:
        """Keep the rows of a partition that differ, as stored and as they will be."""
        self.before.append(part.stored.join(part.different, on=table.key, how="semi"))
        self.after.append(part.different)

    def pending_changes(self, table: Table, file_columns: Collection[str]) -> PendingChanges:
        """Return the recorded changes of all partitions."""
        before, after = (
            pl.concat([pl.DataFrame(schema=table.schema), *rows]).sort(table.key)
            for rows in (self.before, self.after)
        )
        return PendingChanges(before, after, file_columns)

    def commit_partitions(self, table: Table, lakehouse: Lakehouse) -> None:
        """Write the changed partitions in one commit, or in none if nothing changed."""
        if not self.files:
            return
        rows = pl.scan_parquet(self.files, glob=False, hive_partitioning=False)
        if table.partition_by:
            lakehouse.replace_partitions(table, rows, self.values)
        else:
            lakehouse.replace_table(table, rows)


def _ignored_headings(headings: Sequence[str], used: Collection[int]) -> tuple[str, ...]:
    return tuple(
        h.strip() for position, h in enumerate(headings) if h.strip() and position not in used
    )


def _merge_partitions(
    table: Table, staged: Iterable[StagedPartition], folder: Path, *, shown: bool
) -> _MergedPartitions:
    folder.mkdir()
    merged = _MergedPartitions([], [], [], [], [])
    for part in staged:
        merged.add_partition(part, folder)
        if shown:
            merged.record_changes(table, part)
    return merged


def _build_report(
    table: Table, merged: _MergedPartitions, refused: int, listing: Path, ignored: tuple[str, ...]
) -> ImportReport:
    repeated = sum(frame.height for frame in merged.repeated)
    return ImportReport(
        table=table.title,
        rows_read=merged.rows + refused,
        rows_accepted=merged.rows - repeated,
        rows_rejected=refused + repeated,
        rows_added=merged.added,
        rows_changed=merged.changed,
        changed=bool(merged.files),
        rejections=listing if refused + repeated else None,
        ignored_columns=ignored,
    )


def _rejected_error(file: Path, listing: Path, report: ImportReport) -> RejectedRowsError:
    examples = "; ".join(describe_first_rejections(listing, _SHOWN_EXAMPLES))
    refused = (
        "Se rechazó 1" if report.rows_rejected == 1 else f"Se rechazaron {report.rows_rejected:,}"
    )
    read = "1 renglón" if report.rows_read == 1 else f"{report.rows_read:,} renglones"
    return RejectedRowsError(
        f"{refused} de {read} de {file.name} y no se importó ninguno: {examples}.",
        hint=f"Corríjalos con la lista {listing}, "
        "o importe sólo los buenos con --permitir-rechazos.",
        report=replace(report, rows_added=0, rows_changed=0, changed=False),
    )
