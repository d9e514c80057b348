"""INSERT, UPDATE, DELETE and MERGE on a folder that can only be rewritten, as queries."""

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
_IS_NEW: Final = "__is_new"


@dataclass(frozen=True)
class Change:
    """A statement of some ``kind``, by its class in Spark; it names ``table`` as ``view``.

    ``query`` gives the rows before and after: whether each is concerned, is there after, is new.
    """

    table: Table
    view: str
    kind: str
    query: str

    @property
    def adds(self) -> bool:
        """Whether it may add rows, and so needs a table."""
        return self.kind in _ADDING

    def write(self, rows: pa.Table, folder: Path) -> Sequence[Sequence[str]]:
        """Replace the table by the rows that stay; return how many were concerned, and how."""
        concerned, new = (int(pc.sum(rows[name]).as_py() or 0) for name in (_CONCERNED, _IS_NEW))
        after = rows.filter(rows[_STAYS]).drop_columns([_CONCERNED, _STAYS, _IS_NEW])
        folder.mkdir(parents=True, exist_ok=True)
        if others := [path.name for path in folder.glob("*.parquet") if path.name != PART]:
            raise NotImplementedError(f"{self.table.name} is of more files than {PART}: {others}")
        being = folder / f".{uuid.uuid4()}"
        pq.write_table(after, being)
        being.replace(folder / PART)
        told = {"InsertIntoStatement": [new], "MergeIntoTable": [concerned - new, 0, new]}
        return [[str(count) for count in (concerned, *told.get(self.kind, ()))]]


def change_of(plan: Any, text: str, views: Mapping[str, Table]) -> Change | None:
    """The change that Spark's parser read in ``text``; None where it read a question.

    ``views`` are the tables by the names they have in the text.
    """
    kind = str(plan.getClass().getSimpleName())
    make = _KINDS.get(kind)
    if make is None:
        return None
    changed = plan.targetTable().child() if make is _merge else plan.table()
    view = str(changed.multipartIdentifier().mkString("."))
    table = views[view]
    if table.partition_by:
        raise NotImplementedError(f"{table.name} is changed by replacing partitions")
    types = {column.label: column.kind.sql for column in table.columns}
    return Change(table, view, kind, make(plan, text, view, types))


def _update(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    condition = plan.condition()
    hit = _source(condition.get(), text) if condition.isDefined() else "TRUE"
    assigned = _assigned(plan.assignments(), text)
    cells = ", ".join(
        f"CASE WHEN {_CONCERNED} THEN CAST({assigned[label]} AS {kind}) ELSE {label} END AS {label}"
        if label in assigned
        else label
        for label, kind in types.items()
    )
    marks = f"{_CONCERNED}, TRUE AS {_STAYS}, FALSE AS {_IS_NEW}"
    return f"SELECT {cells}, {marks} FROM {_marked(view, hit)}"


def _delete(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    marked = _marked(view, _source(plan.condition(), text))
    marks = f"{_CONCERNED}, NOT {_CONCERNED} AS {_STAYS}, FALSE AS {_IS_NEW}"
    return f"SELECT {', '.join(types)}, {marks} FROM {marked}"


def _insert(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    named = plan.userSpecifiedCols()
    given = [str(named.apply(number)) for number in range(named.size())] or list(types)
    head = re.match(rf"\s*INSERT\s+INTO\s+(TABLE\s+)?{view}\s*(\([^)]*\))?", text, re.IGNORECASE)
    assert head is not None  # Spark has read it
    cells = ", ".join(
        f"CAST({label if label in given else 'NULL'} AS {kind})" for label, kind in types.items()
    )
    return (
        f"SELECT {', '.join(types)}, FALSE AS {_CONCERNED}, TRUE AS {_STAYS}, FALSE AS {_IS_NEW}"
        f" FROM {view} UNION ALL SELECT {cells}, TRUE, TRUE, TRUE"
        f" FROM ({text[head.end() :]}) AS new({', '.join(given)})"
    )


def _merge(plan: Any, text: str, view: str, types: Mapping[str, str]) -> str:
    """Return the content after a MERGE that updates what matches and inserts the rest."""
    (update,), (insert,) = (
        [actions.apply(number) for number in range(actions.size())]
        for actions in (plan.matchedActions(), plan.notMatchedActions())
    )
    kinds = [str(each.getClass().getSimpleName()) for each in (update, insert)]
    conditional = any(each.condition().isDefined() for each in (update, insert))
    if (
        kinds != ["UpdateAction", "InsertAction"]
        or conditional
        or plan.notMatchedBySourceActions().size()
    ):
        raise NotImplementedError(f"a MERGE with {kinds}")
    changed, added = (_assigned(each.assignments(), text) for each in (update, insert))
    stored, given = str(plan.targetTable().alias()), str(plan.sourceTable().alias())
    cells = ", ".join(
        f"CASE WHEN __stored AND __given THEN CAST({changed.get(label, f'{stored}.{label}')} AS"
        f" {kind}) WHEN __stored THEN {stored}.{label}"
        f" ELSE CAST({added.get(label, 'NULL')} AS {kind}) END AS {label}"
        for label, kind in types.items()
    )
    condition = _source(plan.mergeCondition(), text)
    head = re.match(rf"\s*MERGE\s+INTO\s+{view}\s+AS\s+{stored}\s+USING\s", text, re.IGNORECASE)
    assert head is not None  # Spark has read it
    until = plan.mergeCondition().origin().startIndex().get()
    source = re.sub(r"\sON\s+$", "", text[head.end() : until], flags=re.IGNORECASE)
    return (
        f"SELECT {cells}, coalesce(__given, FALSE) AS {_CONCERNED}, TRUE AS {_STAYS},"
        f" __stored IS NULL AS {_IS_NEW} FROM (SELECT *, TRUE AS __stored FROM {view}) AS {stored}"
        f" FULL JOIN (SELECT *, TRUE AS __given FROM {source}) AS {given} ON {condition}"
    )


def _assigned(assignments: Any, text: str) -> dict[str, str]:
    """Return, by column, the expression that the statement assigns to it."""
    each = [assignments.apply(number) for number in range(assignments.size())]
    return {str(one.key().name()): _source(one.value(), text) for one in each}


_KINDS: Final[Mapping[str, Callable[[Any, str, str, Mapping[str, str]], str]]] = {
    "UpdateTable": _update,
    "DeleteFromTable": _delete,
    "InsertIntoStatement": _insert,
    "MergeIntoTable": _merge,
}

_ADDING: Final = frozenset({"InsertIntoStatement", "MergeIntoTable"})


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
