"""What is asked of the tables while a person waits, whatever answers it."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

TableRow = Mapping[str, Any]
"""A row by the names in code: whole numbers, floats, texts, booleans, dates, and None."""

TIE_BREAK_COLUMNS: Final = ("mostrador", "material")
"""What tells the rows of a job apart: rows that are alike in the column asked for are in this order."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows of a list that has ``total``."""

    total: int
    rows: Sequence[TableRow]


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Which rows of `ipp.core.tables.RESULTS`, in what order, and which part of them.

    ``mostrador`` is None for all. ``text`` is looked for in material, ean and description, as `SearchText` says. ``sort``
    is a column's name in code; empty cells come last whichever way, rows that are alike by `TIE_BREAK_COLUMNS`. ``category`` is one
    to the letter, None for all and empty for the rows that have none. ``columns`` are those that a row has, by their
    names in code, all of them where none is named: what is not asked for is not read. ``unknown_stock`` asks for the
    rows of `ipp.core.decision.publication.has_unknown_stock` alone.
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
class Readiness:
    """Whether there is what a job needs: a catalogue, and sell-out from its first day to its last."""

    has_materials: bool
    first: dt.date | None
    last: dt.date | None


class Warehouse(Protocol):
    """Answers from the tables, each as of one moment.

    Whatever answers raises `UnavailableError` where it cannot just now.
    """

    def configured_counters(self, mostradores: Sequence[int] | None) -> Sequence[int]:
        """Those of ``mostradores`` that have a configuration, rising; None asks for every one that has."""
        ...

    def unknown_counters(self, mostradores: Sequence[int]) -> Sequence[int]:
        """Those of ``mostradores`` that have no row of their own, in the order asked."""
        ...

    def readiness(self) -> Readiness:
        """What a job would find."""
        ...

    def job_summary(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """What a job decided for each mostrador, as `ipp.core.decision.publication.summarise_counters` has it; of one, where it is given.

        A mostrador that nothing was published of is not there.
        """
        ...

    def query_rows(self, wanted: RowQuery) -> RowPage:
        """A page of what a job published."""
        ...

    def investment_curve(self, job_id: str, mostrador: int) -> Sequence[TableRow]:
        """The investment, fill_rate, chosen and gap of a mostrador's curve, rising; none where it has none."""
        ...

    def failed_counters(self, job_id: str, mostrador: int | None = None) -> Sequence[TableRow]:
        """The mostrador, stage and cause of each mostrador that a job published nothing of, rising; or of one."""
        ...

    def publication(self, job_id: str) -> TableRow | None:
        """What `ipp.core.tables.PROCESSES` tells of a job, None where it has published nothing or before that was."""

    def notices(self, job_id: str) -> Sequence[TableRow]:
        """The mostrador and notice of what is odd about the data of mostradores that a job published, rising."""
        ...

    def list_configurations(self, text: str, after: int, limit: int) -> RowPage:
        """At most ``limit`` configurations of mostradores above ``after``, rising; ``total`` counts those below too.

        ``text`` is looked for in their number and their name, as `SearchText` says.
        """
        ...

    def get_configuration(self, mostrador: int) -> TableRow | None:
        """The configuration of a mostrador, None where it has none."""
        ...

    def insert_configuration(self, row: TableRow) -> bool:
        """Store a configuration; False where its mostrador has one, which is left as it is."""
        ...

    def update_configuration(self, before: TableRow, after: TableRow) -> bool:
        """Put ``after`` in the place of ``before``; False where that is not what is stored."""
        ...

    def delete_configuration(self, before: TableRow) -> bool:
        """Take ``before`` away; False where that is not what is stored."""
        ...


@dataclass(frozen=True, slots=True)
class SearchText:
    """A text that is looked for, character by character: none of it is a pattern.

    Case, accents and the spaces around do not matter, nor do zeros before a number. An empty text is part of any.
    """

    text: str

    @property
    def folded(self) -> str:
        """As it is looked for in texts, reduced like them."""
        return fold_text(self.text.strip())

    @property
    def digits(self) -> str:
        """As it is looked for in numbers."""
        folded = self.folded
        return folded.lstrip("0") or folded if folded.isdecimal() else folded


def fold_text(text: str) -> str:
    """Reduce a text to what its spellings share: lower case, no accents."""
    plain = unicodedata.normalize("NFKD", text).lower()
    return "".join(letter for letter in plain if not unicodedata.category(letter).startswith("M"))
