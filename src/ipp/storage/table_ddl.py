"""SQL that creates a table by its contract."""

from __future__ import annotations

from ipp.core.contract import Table


def create_table_sql(table: Table, name: str, kind: str = "DELTA") -> str:
    """Return SQL that creates ``table`` as ``name``, unless there is one, and describes columns."""
    columns = ", ".join(
        f"{c.label} {c.kind.sql} COMMENT {_quote_text(c.about)}" for c in table.columns
    )
    labels = ", ".join(table.labels[name] for name in table.partition_by)
    partitions = f" PARTITIONED BY ({labels})" if labels else ""
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING {kind}{partitions}"


def _quote_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
