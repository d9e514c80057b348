"""The table of changes in Databricks' SQL, which is written ahead of each change."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ipp.cloud.databricks.client import DatabricksRefusedError
from ipp.core.change_table import CHANGE_ROW_TEXT_COLUMNS, CHANGE_TEXT_COLUMNS, CHANGES
from ipp.core.tables import CONFIGURATIONS
from ipp.errors import BusyError, IppError
from ipp.storage.change_record import ROW_ID_SEPARATOR, ChangeState, row_json
from ipp.storage.change_settlement import settle_changes
from ipp.storage.table_ddl import create_table_sql
from ipp.storage.warehouse.sql_search import contains_sql
from ipp.storage.warehouse.sql_statement import (
    MISSING_TABLE_ERROR,
    SqlValue,
    Statement,
    StatementRunner,
)
from ipp.storage.warehouse.sql_table import (
    IDS_SUBQUERY,
    column_parsers,
    select_list,
    typed_parameter,
)
from ipp.storage.warehouse.warehouse import ChangeQuery, TableRow

_LOG: Final = logging.getLogger("ipp.storage")

_LISTED_SQL: Final = (
    f"estado <> '{ChangeState.REFUSED}' AND (estado <> '{ChangeState.UNCONFIRMED}' OR id NOT IN"
    f" (SELECT id FROM {CHANGES.name} WHERE estado <> '{ChangeState.UNCONFIRMED}'))"
)
"""Condition of the records to show: not those of changes that were not made, and each once."""

_ENDED_SQL: Final = f"id = :change_id AND estado <> '{ChangeState.UNCONFIRMED}'"
"""Condition of the record that says how a change ended."""

SETTLING_AGE: Final = dt.timedelta(hours=1)
"""Age of an unconfirmed change that nobody makes any more: a statement takes minutes at most."""

_MAX_SETTLED_CHANGES: Final = 5
"""Changes that one list settles, a statement each: its caller waits 29 seconds at most."""

Clock = Callable[[], dt.datetime]
"""Return the moment, in UTC."""

_IS_ROW_SQL: Final = f"contains(id, '{ROW_ID_SEPARATOR}')"
"""Condition of the rows of a change of many."""

_BULK_SQL: Final = f"substring_index(id, '{ROW_ID_SEPARATOR}', 1)"
"""The id of the change that a row is of."""


def utc_clock() -> dt.datetime:
    """Return the moment by this machine's clock, in UTC."""
    return dt.datetime.now(dt.UTC)


class DatabricksChanges:
    """Records of changes in a workspace.

    A statement changes one table, and its commit cannot carry a record. So the record is written
    first, as not confirmed, and again once the change has ended; rows are only ever added, which
    conflicts with nothing. What stays unconfirmed is settled by a later listing, by
    ``clock``, from the record of the row's next change or from the row itself.
    """

    def __init__(self, statements: StatementRunner, clock: Clock) -> None:
        self._statements = statements
        self._clock = clock

    def make_change(self, records: Sequence[Mapping[str, Any]], change: Callable[[], bool]) -> bool:
        """Record a change around ``change``, which makes it; return whether it was made.

        ``records`` are of the rows that it changes at once, and of it as a whole. Raises the errors
        of both; without the records nothing is changed.
        """
        self._insert_records(records, ChangeState.UNCONFIRMED)
        try:
            made = change()
        except (BusyError, DatabricksRefusedError):
            self._try_insert(records, ChangeState.REFUSED)
            raise
        self._try_insert(records, ChangeState.DONE if made else ChangeState.REFUSED)
        return made

    def list_changes(self, wanted: ChangeQuery) -> Sequence[TableRow]:
        """Return changes of what all share, as the protocol says."""
        changes = self._fetch_changes(wanted)
        try:
            settled = self._settle_old(changes)
        except IppError:
            _LOG.warning("the unconfirmed changes were not settled", exc_info=True)
            return changes
        return self._fetch_changes(wanted) if settled else changes

    def _settle_old(self, changes: Sequence[TableRow]) -> int:
        """Settle some of the ``changes`` that nobody will confirm; return how many."""
        oldest = (self._clock() - SETTLING_AGE).isoformat(timespec="microseconds")
        open_changes = {
            change["change_id"]: change
            for change in changes
            if change["state"] == ChangeState.UNCONFIRMED
            and change["changed_at"] <= oldest
            # A change of many as a whole has no row to look at; each of its rows has.
            and change["row_key"]
        }
        if not open_changes:
            return 0
        keys = sorted({change["row_key"] for change in open_changes.values()})
        # The rows first: a change made between the two questions is then among the records.
        stored = self._fetch_rows(keys)
        verdicts = settle_changes(self._fetch_records(keys), stored)
        settled = [
            {**change, "state": verdicts[change_id].value}
            for change_id, change in open_changes.items()
            if change_id in verdicts
        ][:_MAX_SETTLED_CHANGES]
        for record in settled:
            self._insert_ended(record)
        return len(settled)

    def _fetch_rows(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the configuration of each key with the cells of a record; None is none."""
        sql = (
            f"SELECT {select_list(CONFIGURATIONS)} FROM {CONFIGURATIONS.name}"
            f" WHERE mostrador IN ({IDS_SUBQUERY})"
        )
        statement = Statement(sql, {"ids": json.dumps([*map(int, keys)])})
        rows = self._statements.fetch_rows(statement, column_parsers(CONFIGURATIONS))
        found = {str(row["mostrador"]): row_json(CONFIGURATIONS, row) for row in rows}
        return {key: json.loads(found.get(key) or "null") for key in keys}

    def _fetch_records(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return every record of the configurations of ``keys``, the newest first."""
        sql = (
            f"SELECT {select_list(CHANGES)} FROM {CHANGES.name} WHERE objeto = :object"
            " AND clave IN (SELECT explode(from_json(:keys, 'ARRAY<STRING>')))"
            " ORDER BY cuando DESC, id DESC"
        )
        values: dict[str, SqlValue] = {"object": CONFIGURATIONS.title, "keys": json.dumps([*keys])}
        return self._statements.fetch_rows(Statement(sql, values), column_parsers(CHANGES))

    def _fetch_changes(self, wanted: ChangeQuery) -> list[dict[str, Any]]:
        conditions, values = _change_conditions(wanted)
        sql = (
            f"SELECT DISTINCT {select_list(CHANGES)} FROM {CHANGES.name}"
            f" WHERE {' AND '.join([_LISTED_SQL, *conditions])}"
            " ORDER BY cuando DESC, id DESC LIMIT CAST(:limit AS INT)"
        )
        statement = Statement(sql, {**values, "limit": wanted.limit})
        return self._statements.fetch_rows_if_table_exists(statement, column_parsers(CHANGES))

    def _try_insert(self, records: Sequence[Mapping[str, Any]], state: ChangeState) -> None:
        try:
            self._insert_records(records, state)
        except IppError:
            _LOG.warning("change %s stays unconfirmed", records[-1]["change_id"], exc_info=True)

    def _insert_records(self, records: Sequence[Mapping[str, Any]], state: ChangeState) -> None:
        """Add records in a state, all at once, creating the table if it does not exist."""
        rows = [
            [{**record, "state": state.value}[c.name] for c in CHANGES.columns]
            for record in records
        ]
        cells = ", ".join(f"cells[{position}]" for position in range(len(CHANGES.columns)))
        sql = (
            f"INSERT INTO {CHANGES.name} ({select_list(CHANGES)}) SELECT {cells}"
            " FROM (SELECT explode(from_json(:records, 'ARRAY<ARRAY<STRING>>')) AS cells)"
        )
        statement = Statement(sql, {"records": json.dumps(rows)}, safe=False)
        try:
            self._statements.count_changed(statement)
        except DatabricksRefusedError as refusal:
            if MISSING_TABLE_ERROR not in refusal.message:
                raise
            self._statements.fetch_rows(Statement(create_table_sql(CHANGES, CHANGES.name), {}), [])
            self._statements.count_changed(statement)

    def _insert_ended(self, record: Mapping[str, Any]) -> None:
        """Add a record of how a change ended, unless another says it already."""
        cells = ", ".join(typed_parameter(c.kind, f":{c.name}") for c in CHANGES.columns)
        sql = (
            f"INSERT INTO {CHANGES.name} ({select_list(CHANGES)}) SELECT {cells}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {CHANGES.name} WHERE {_ENDED_SQL})"
        )
        self._statements.count_changed(Statement(sql, dict(record), safe=False))


def _change_conditions(wanted: ChangeQuery) -> tuple[list[str], dict[str, SqlValue]]:
    """Return the conditions of a query of changes, and their values."""
    values: dict[str, SqlValue] = {}
    conditions = contains_sql(values, wanted.text, CHANGES, numbers=(), texts=CHANGE_TEXT_COLUMNS)
    if wanted.title:
        conditions.append("objeto = :title")
        values["title"] = wanted.title
    if wanted.bulk_id:
        conditions.append("startswith(id, :bulk)")
        values["bulk"] = f"{wanted.bulk_id}{ROW_ID_SEPARATOR}"
    if wanted.mostrador is not None:
        known = f"SELECT {_BULK_SQL} FROM {CHANGES.name} WHERE {_IS_ROW_SQL}"
        of_many = f"(clave = '' AND id NOT IN ({known}))"
        conditions.append(f"objeto = :register AND (clave = :mostrador OR {of_many})")
        values |= {"register": CONFIGURATIONS.title, "mostrador": str(wanted.mostrador)}
    elif not wanted.bulk_id:
        texts = CHANGE_ROW_TEXT_COLUMNS
        found = contains_sql(values, wanted.text, CHANGES, numbers=(), texts=texts)
        conditions.append(f"({' OR '.join([f'NOT {_IS_ROW_SQL}', *found])})")
    if wanted.since:
        conditions.append("cuando >= :since")
        values["since"] = wanted.since
    if wanted.after is not None:
        conditions.append("(cuando < :moment OR (cuando = :moment AND id < :last))")
        values["moment"], values["last"] = wanted.after
    return conditions, values
