"""INSERT, UPDATE and DELETE on a folder that can only be rewritten: its new content as a query."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ipp.core.contract import Table
from tests.cloud.workspace.tables import PART

_CONCERNED: Final = "__concerned"
_STAYS: Final = "__stays"

INSERT_COUNTS: Final = 2
"""Columns of the answer to an INSERT; the other changes have one."""


@dataclass(frozen=True)
class Change:
    """A statement that changes ``table``, which is named ``view`` in its text.

    ``query`` gives the rows before and after, with whether each is concerned and whether it is
    there after. ``counts`` is how many columns the answer has: each says how many were concerned.
    """

    table: Table
    view: str
    query: str
    counts: int

    def write(self, rows: pa.Table, folder: Path) -> Sequence[Sequence[str]]:
        """Replace the table by the rows that stay; return how many were concerned."""
        concerned = int(pc.sum(rows[_CONCERNED]).as_py() or 0)
        after = rows.filter(rows[_STAYS]).drop_columns([_CONCERNED, _STAYS])
        folder.mkdir(parents=True, exist_ok=True)
        if others := [path.name for path in folder.glob("*.parquet") if path.name != PART]:
            raise NotImplementedError(f"{self.table.name} is of more files than {PART}: {others}")
        being = folder / f".{uuid.uuid4()}"
        pq.write_table(after, being)
        being.replace(folder / PART)
        return [[str(concerned)] * self.counts]


def change_of(plan: Any, text: str, views: Mapping[str, Table]) -> Change | None:
    """The change that Spark's parser read in ``text``; None where it read a question.

    ``views`` are the tables by the names they have in the text.
    """
    make = _KINDS.get(plan.getClass().getSimpleName())
    if make is None:
        return None
    view = str(plan.table().multipartIdentifier().mkString("."))
    table = views[view]
    if table.partition_by:
        raise NotImplementedError(f"{table.name} is changed by replacing partitions")
    types = {column.label: column.kind.sql for column in table.columns}
    counts = INSERT_COUNTS if make is _insert else 1
    return Change(table, view, make(plan, text, view, types), counts)


def _update(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    condition = plan.condition()
    hit = _source(condition.get(), text) if condition.isDefined() else "TRUE"
    assigned = {}
    for number in range(plan.assignments().size()):
        assignment = plan.assignments().apply(number)
        assigned[str(assignment.key().name())] = _source(assignment.value(), text)
    cells = ", ".join(
        f"CASE WHEN {_CONCERNED} THEN CAST({assigned[label]} AS {kind}) ELSE {label} END AS {label}"
        if label in assigned
        else label
        for label, kind in types.items()
    )
    return f"SELECT {cells}, {_CONCERNED}, TRUE AS {_STAYS} FROM {_marked(view, hit)}"


def _delete(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    marked = _marked(view, _source(plan.condition(), text))
    return f"SELECT {', '.join(types)}, {_CONCERNED}, NOT {_CONCERNED} AS {_STAYS} FROM {marked}"


def _insert(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    named = plan.userSpecifiedCols()
    given = [str(named.apply(number)) for number in range(named.size())] or list(types)
    head = re.match(rf"\s*INSERT\s+INTO\s+(TABLE\s+)?{view}\s*(\([^)]*\))?", text, re.IGNORECASE)
    assert head is not None  # Spark has read it
    cells = ", ".join(
        f"CAST({label if label in given else 'NULL'} AS {kind})" for label, kind in types.items()
    )
    return (
        f"SELECT {', '.join(types)}, FALSE AS {_CONCERNED}, TRUE AS {_STAYS} FROM {view}"
        f" UNION ALL SELECT {cells}, TRUE, TRUE"
        f" FROM ({text[head.end() :]}) AS new({', '.join(given)})"
    )


_KINDS: Final[Mapping[str, Callable[[Any, str, str, Mapping[str, str]], str]]] = {
    "UpdateTable": _update,
    "DeleteFromTable": _delete,
    "InsertIntoStatement": _insert,
}


def _marked(view: str, hit: str) -> str:
    """The rows, each with whether ``hit`` is true of it."""
    return f"(SELECT *, coalesce({hit}, FALSE) AS {_CONCERNED} FROM {view})"


def _source(expression: Any, text: str) -> str:
    """Return the part of the statement that Spark's parser read as the expression.

    The parser forgets where TRUE and FALSE were.
    """
    origin = expression.origin()
    if origin.startIndex().isEmpty():
        return str(expression.sql())
    return text[origin.startIndex().get() : origin.stopIndex().get() + 1]
