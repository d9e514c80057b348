"""Interface of the warehouse: interactive queries on the tables."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from ipp.settings import DEFAULT_CATALOG
from ipp.storage.change_record import Author

if TYPE_CHECKING:
    import polars as pl

TableRow = Mapping[str, Any]
"""A row by the names in code; cells are int, float, str, bool, date or None."""

RowChange = tuple[TableRow | None, TableRow]
"""The stored row, None if there is none, and the row that shall replace it."""

TIE_BREAK_COLUMNS: Final = ("mostrador", "material")
"""Unique key of a row within a job: rows that tie in the sort column are in this order."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page of a list of ``total`` rows."""

    total: int
    rows: Sequence[TableRow]


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Filter, order and page of the rows of `ipp.core.tables.RESULTS`.

    ``mostrador`` is None for all. ``text`` is searched for in material, ean and description, as
    `SearchText` describes. ``sort`` is a column's name in code; nulls come last in either
    direction, and ties are in the order of `TIE_BREAK_COLUMNS`. ``category`` matches exactly; None
    is all, and empty is the rows without one. ``columns`` are the columns returned, by their names
    in code, or all if empty; others are not read. ``unknown_stock`` keeps only the rows of
    `ipp.core.decision.publication.has_unknown_stock`.
    """

    job_id: str
    mostrador: int | None
    text: str
    sort: str
    descending: bool
    start: int
    limit: int
    category: str | None = None
    columns: tuple[str, ...] = ()
    unknown_stock: bool = False


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Filter and page of the changes of what all share.

    A change of many rows stands for its rows, unless they are asked for: ``bulk_id`` keeps only
    those of the change with that id, and ``mostrador`` the changes of its configuration, with
    those of many configurations at once whose rows are not known, which may have changed it too.
    ``title`` is of the table that changed, empty for all. ``text`` is searched for as `SearchText`
    describes in who, which row, and before and after; it finds also rows of a change of many, in
    which it is searched for in `CHANGE_ROW_TEXT_COLUMNS`.
    ``since`` is the first moment, in UTC as ISO text. ``after`` is the moment and the id of the
    change that the page comes after, None for the first page.
    """

    limit: int
    title: str = ""
    mostrador: int | None = None
    bulk_id: str = ""
    text: str = ""
    since: str = ""
    after: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Availability of the data that a job needs: a catalogue, and the first and last sell-out."""

    has_materials: bool
    first: dt.date | None
    last: dt.date | None


@dataclass(frozen=True, slots=True)
class JobComparison:
    """Changes from an earlier job to a later one, by absolute change of investment, descending.

    ``counters`` have the mostrador, the sums of each job's investment (``value_before``,
    ``value``, MXN to the cent), their difference ``change``, the sums of units
    (``optimum_before``, ``optimum``), and how many products ``rose`` and ``fell`` in investment.
    The products that ``rose`` and ``fell`` have the same cells of their own, the material, the
    description, and each job's reason (``reason_before``, ``reason``), None where it is not known.
    """

    counters: Sequence[TableRow]
    rose: Sequence[TableRow]
    fell: Sequence[TableRow]


class Warehouse(Protocol):
    """Queries on the tables, each of which reads one consistent snapshot.

    Every method raises `UnavailableError` if the backend is temporarily unreachable. ``catalog`` is
    where the tables are, for people who query them by their full names.
    """

    catalog: str = DEFAULT_CATALOG

    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        """Return the ``mostradores`` with a configuration, ascending; None asks for all."""
        ...

    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        """Return ``mostradores`` without a row in `ipp.core.tables.COUNTERS`, in input order."""
        ...

    def known_counters(self) -> Sequence[int]:
        """Return every mostrador of `ipp.core.tables.COUNTERS`, ascending."""
        ...

    def readiness(self) -> Readiness:
        """Return whether the data that a job needs is there."""
        ...

    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """Return the summary of a job for each mostrador, or for only one.

        The columns are those of `ipp.core.decision.publication.summarise_counters`. A mostrador
        without published rows is left out.
        """
        ...

    def query_rows(self, wanted: RowQuery) -> RowPage:
        """Return a page of the rows that a job published."""
        ...

    def iterate_rows(self, job_id: str, mostrador: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows that a job published, or only those of one mostrador, in batches.

        They have the columns of `ipp.core.tables.RESULTS` and are in the order of
        `TIE_BREAK_COLUMNS`. A batch has every row of its mostradores, and a bounded number of rows
        unless one mostrador alone has more. There is none if nothing was published. Each batch is
        a snapshot of its own: the rows of a completed job do not change.
        """
        ...

    def get_row(self, job_id: str, mostrador: int, material: int) -> TableRow | None:
        """Return the row that a job published of a product of a mostrador, or None.

        The columns are those of `ipp.core.tables.PUBLISHED_RESULTS`.
        """
        ...

    def investment_by_category(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """Return the category, products and investment (MXN to the cent) of each category.

        They are by investment, descending, and then by category. Products without a category are
        those of the category "".
        """
        ...

    def investment_by_product(self, job_id: str, mostrador: int) -> Sequence[float]:
        """Return the investment in each product of a mostrador that has any, MXN, descending."""
        ...

    def compare_jobs(
        self, earlier: str, later: str, mostrador: int | None, limit: int
    ) -> JobComparison:
        """Compare what two jobs published; a product that one of them lacks counts as zero there.

        The products are those of ``mostrador``, unless it is None: ``limit`` at most that rose and
        as many that fell. Products that tie are in the order of `TIE_BREAK_COLUMNS`.
        """
        ...

    def daily_sales(
        self, mostrador: int, material: int, first: dt.date, last: dt.date
    ) -> Sequence[TableRow]:
        """Return the days of ``first`` to ``last`` on which a mostrador sold a product, ascending.

        The columns are date and units.
        """
        ...

    def counter_names(self, mostradores: Sequence[int]) -> Mapping[int, str]:
        """Return the names of ``mostradores`` by number, without those that have none."""
        ...

    def published_jobs(self) -> Sequence[str]:
        """Return the ids of the jobs with published rows, ascending."""
        ...

    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """Return the points of a mostrador's curve by ascending investment; empty if it has none.

        The columns are investment, fill_rate, chosen and gap.
        """
        ...

    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """Return the mostrador, stage and cause of each mostrador that a job failed to publish.

        They are ascending by mostrador, or only the one given.
        """
        ...

    def publication(self, job_id: str) -> TableRow | None:
        """Return the row of a job in `ipp.core.tables.PROCESSES`, or None.

        A job has none if it published nothing, or published before that table existed.
        """

    def notices(self, job_id: str) -> Sequence[TableRow]:
        """Return the data-quality notices of a job: mostrador and notice, ascending."""
        ...

    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        """Return up to ``limit`` configurations of mostradores above ``after``, ascending.

        ``total`` also counts those up to ``after``. ``text`` is searched for in their number and
        their name, as `SearchText` describes.
        """
        ...

    def get_configuration(self, mostrador: int) -> TableRow | None:
        """Return the configuration of a mostrador, or None."""
        ...

    def insert_configuration(self, row: TableRow, author: Author) -> bool:
        """Store a configuration; return False, changing nothing, if its mostrador has one.

        No change of a configuration is made without its record in `ipp.core.change_table.CHANGES`,
        as ``author``'s, whatever ends the process meanwhile.
        """
        ...

    def update_configuration(self, before: TableRow, after: TableRow, author: Author) -> bool:
        """Replace ``before`` with ``after``; return False if ``before`` is not what is stored."""
        ...

    def delete_configuration(self, before: TableRow, author: Author) -> bool:
        """Delete ``before``; return False if it is not what is stored."""
        ...

    def merge_configurations(
        self, changes: Sequence[RowChange], author: Author, detail: Mapping[str, Any]
    ) -> bool:
        """Make all ``changes``, each of another mostrador, at once, with one record of them.

        Return False, changing nothing, if a mostrador is not stored as its change says. ``detail``
        is that of `ipp.storage.change_record.record_bulk_change`.
        """
        ...

    def list_changes(self, wanted: ChangeQuery) -> Sequence[TableRow]:
        """Return changes of what all share, the newest first.

        The rows are of `ipp.core.change_table.CHANGES`. Those whose state is not
        `ChangeState.DONE` may not have been made; those that were not made are left out.
        """
        ...


@dataclass(frozen=True, slots=True)
class SearchText:
    """Search text, matched literally as a substring, never as a pattern.

    Case, accents, surrounding spaces and the leading zeros of a number are ignored. An empty text
    matches everything.
    """

    text: str

    @property
    def folded(self) -> str:
        """The text to search for in text columns, folded as they are."""
        return fold_text(self.text.strip())

    @property
    def digits(self) -> str:
        """The text to search for in numeric columns, without leading zeros.

        For example, "0042" gives "42", and "000" stays "000".
        """
        folded = self.folded
        return folded.lstrip("0") or folded if folded.isdecimal() else folded


def fold_text(text: str) -> str:
    """Fold a text to lower case without accents, so that its spellings compare equal."""
    plain = unicodedata.normalize("NFKD", text).lower()
    return "".join(letter for letter in plain if not unicodedata.category(letter).startswith("M"))
