"""Import a person's file into a table: read, check, merge by key, commit once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import IMPORTABLE_TABLES
from ipp.errors import InvalidInputError, RejectedRowsError, UnreadableFileError
from ipp.formats.intake.file_reader import read_cells, translate_read_errors
from ipp.formats.intake.import_identity import identify_import
from ipp.formats.intake.import_notice import import_notices
from ipp.formats.intake.raw_cell import RawCells
from ipp.formats.intake.rejection import (
    describe_first_rejections,
    list_refused_cells,
    list_repeated_rows,
    write_rejections,
)
from ipp.formats.intake.row_check import KnownIds, RowCheck, match_headings, read_rules
from ipp.formats.intake.staging import StagedPartition, stage_rows, staged_partitions
from ipp.storage.change_record import FILE_LABEL, Author, Operation, record_bulk_change
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.change_log import ChangeLog, change_metadata
from ipp.storage.lakehouse.lakehouse import Lakehouse, PartitionRewrite
from ipp.storage.warehouse.table_error import translate_table_errors

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


def import_detail(file: str, report: ImportReport, unchanged: int) -> Mapping[str, Any]:
    """Return the detail of an import's record: the file's name, and rows by what became of them.

    ``unchanged`` counts the accepted rows that are stored already.
    """
    return {
        FILE_LABEL: file,
        "nuevos": report.rows_added,
        "cambiados": report.rows_changed,
        "iguales": unchanged,
        "rechazados": report.rows_rejected,
    }


@dataclass(frozen=True, slots=True)
class _ReadRows:
    """The rows of a file: raw ``cells``, their ``check``, and in ``folders`` the accepted ones.

    ``refused`` counts the others.
    """

    cells: RawCells
    check: RowCheck
    folders: Sequence[Path]
    refused: int

    @property
    def ignored_headings(self) -> tuple[str, ...]:
        """The headings that name no column of the table."""
        used = self.check.positions.values()
        return tuple(
            heading.strip()
            for position, heading in enumerate(self.cells.headings)
            if heading.strip() and position not in used
        )


def _read_rows(
    table: Table, file: Path, folder: Path, known: Mapping[str, KnownIds], today: dt.date
) -> _ReadRows:
    """Read and check ``file``, and stage the accepted rows in ``folder``."""
    cells = read_cells(file, folder, table.columns)
    positions = match_headings(table, file, cells.headings, sheet=cells.sheet)
    with translate_read_errors(file):
        check = read_rules(table, cells, positions, known, today)
        folders, refused = stage_rows(table, check.accept_rows(cells.frame), folder / "rows")
    return _ReadRows(cells, check, folders, refused)


@dataclass(frozen=True, slots=True)
class TableImporter:
    """Importer of files into the tables of ``lakehouse``, with temporary files in ``scratch``."""

    lakehouse: Lakehouse
    scratch: Scratch

    @translate_table_errors(named=False)
    def import_file(
        self,
        table: Table,
        file: Path,
        *,
        rejections: Path,
        today: dt.date,
        author: Author,
        allow_rejections: bool = False,
        agree: ApproveChanges | None = None,
    ) -> ImportReport:
        """Merge the rows of ``file`` into ``table`` by key, in one commit, or none if none differs.

        The commit has the record of the change, as ``author``'s. ``rejections`` is the folder for
        the list of rejected rows. ``agree`` is called under the write lock; where it returns False
        nothing is written, and the report counts what would have been. Raises
        `UnreadableFileError`, `MissingColumnError`, `InvalidInputError` where a referenced table
        was never imported, `RejectedRowsError` for a rejected row without ``allow_rejections``,
        and `UnavailableError` where a table's file is missing or damaged, or cannot be written.
        """
        listing = rejections / f"rechazos-{table.title}-{file.stem}.csv"
        identity = identify_import(table, file, self.lakehouse, today)
        known = _known_ids(table, self.lakehouse)
        if agree is None and (outcome := identity.find_outcome(table, self.lakehouse)) is not None:
            listing.unlink(missing_ok=True)
            return _unchanged_report(table, outcome)
        with self.scratch.temporary_folder() as folder:
            read = _read_rows(table, file, folder, known, today)
            with self.lakehouse.rewrite_partitions(table) as rewrite:
                merged = self._merge_rows(table, read, rewrite, shown=agree is not None)
                report = self._report_rows(table, file, read, merged, listing)
                if report.rejections and not allow_rejections:
                    raise _rejected_error(file, listing, report)
                if agree and not agree(merged.pending_changes(table, read.check.positions)):
                    return replace(report, changed=False)
                if report.changed:
                    unchanged = merged.keys - merged.added - merged.changed
                    detail = import_detail(author.file or file.name, report, unchanged)
                    record = record_bulk_change(table, author, Operation.IMPORT, detail)
                    said = {} if report.rejections else identity.describe(_outcome(report))
                    rewrite.commit({**said, **change_metadata(record)})
        if report.changed:
            ChangeLog(self.lakehouse).try_copy_records()
        return report

    def _merge_rows(
        self, table: Table, read: _ReadRows, rewrite: PartitionRewrite, *, shown: bool
    ) -> _MergedPartitions:
        """Write the partitions that a file changes into ``rewrite``, and total all of them."""
        stored = partial(self.lakehouse.scan_table, table)
        absent = table.schema.keys() - read.check.positions.keys()
        staged = staged_partitions(table, read.folders, stored, absent)
        return _merge_partitions(table, staged, rewrite, shown=shown)

    def _report_rows(
        self, table: Table, file: Path, read: _ReadRows, merged: _MergedPartitions, listing: Path
    ) -> ImportReport:
        """Return the report on what was merged, and write the list of rejected rows."""
        report = _build_report(table, merged, read, listing)
        notices = (
            *read.cells.notices,
            *read.check.notices,
            *import_notices(table, read.folders, self.lakehouse, read.check.positions),
            *merged.list_notices(table),
        )
        report = replace(report, warnings=notices)
        _write_rejections(table, file, read, merged, report, listing)
        return report


def _write_rejections(
    table: Table,
    file: Path,
    read: _ReadRows,
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
        explained = read.check.explain_rows(read.cells.frame)
        write_rejections(
            listing,
            list_refused_cells(table, explained),
            list_repeated_rows(table, merged.repeated),
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
    """Totals over all partitions of an import, and the rows of theirs that people are shown."""

    repeated: list[pl.DataFrame] = field(default_factory=list)
    returned: list[pl.Series] = field(default_factory=list)
    before: list[pl.DataFrame] = field(default_factory=list)
    after: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0
    keys: int = 0
    added: int = 0
    changed: int = 0

    def count_partition(self, part: StagedPartition) -> None:
        """Add a partition to the totals."""
        if not part.repeated.is_empty():
            self.repeated.append(part.repeated)
        if not part.returned.is_empty():
            self.returned.append(part.returned)
        self.rows += part.rows
        self.keys += part.keys
        self.added += part.added
        self.changed += part.changed

    def record_changes(self, table: Table, part: StagedPartition) -> None:
        """Keep the rows of a partition that differ, as stored and as they will be."""
        self.before.append(part.stored.join(part.different, on=table.key, how="semi"))
        self.after.append(part.different)

    def list_notices(self, table: Table) -> Iterator[str]:
        """Yield what was done with rows that were left out, and with days of more returns."""
        unit = table.by_name[table.summable].unit if table.summable else ""
        if self.repeated and table.summable:
            left_out = pl.concat(self.repeated)
            yield (
                f"los renglones que repiten la clave de otro ({left_out.height:,}) no cuentan, "
                f"ni sus {left_out[table.summable].sum():,.15g} {unit}: si son ventas distintas, "
                "importe con --sumar"
            )
        if self.returned:
            totals = pl.concat(self.returned)
            days = "1 día" if totals.len() == 1 else f"{totals.len():,} días"
            yield (
                f"se devolvió más de lo que se vendió ({-totals.sum():,.15g} {unit} en "
                f"{days} de un producto): en esos días quedó 0"
            )

    def pending_changes(self, table: Table, file_columns: Collection[str]) -> PendingChanges:
        """Return the recorded changes of all partitions."""
        before, after = (
            pl.concat([pl.DataFrame(schema=table.schema), *rows]).sort(table.key)
            for rows in (self.before, self.after)
        )
        return PendingChanges(before, after, file_columns)


def _merge_partitions(
    table: Table, staged: Iterable[StagedPartition], rewrite: PartitionRewrite, *, shown: bool
) -> _MergedPartitions:
    """Write the partitions that differ from what is stored, and total all of them."""
    merged = _MergedPartitions()
    for part in staged:
        merged.count_partition(part)
        if part.added or part.changed:
            rewrite.add_partition(part.value, part.content)
        if shown:
            merged.record_changes(table, part)
    return merged


def _build_report(
    table: Table, merged: _MergedPartitions, read: _ReadRows, listing: Path
) -> ImportReport:
    repeated = sum(frame.height for frame in merged.repeated)
    return ImportReport(
        table=table.title,
        rows_read=merged.rows + read.refused,
        rows_accepted=merged.rows - repeated,
        rows_rejected=read.refused + repeated,
        rows_added=merged.added,
        rows_changed=merged.changed,
        changed=bool(merged.added or merged.changed),
        rejections=listing if read.refused + repeated else None,
        ignored_columns=read.ignored_headings,
    )


def _outcome(report: ImportReport) -> Mapping[str, Any]:
    """Return what a report says of the file alone, as JSON."""
    return {
        "rows": report.rows_read,
        "ignored_columns": [*report.ignored_columns],
        "warnings": [*report.warnings],
    }


def _unchanged_report(table: Table, outcome: Mapping[str, Any]) -> ImportReport:
    """Return the report on a file that was imported with that `_outcome` and changes nothing."""
    return ImportReport(
        table=table.title,
        rows_read=outcome["rows"],
        rows_accepted=outcome["rows"],
        rows_rejected=0,
        rows_added=0,
        rows_changed=0,
        changed=False,
        rejections=None,
        ignored_columns=tuple(outcome["ignored_columns"]),
        warnings=tuple(outcome["warnings"]),
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
