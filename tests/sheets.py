"""A second reader for the workbooks we write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    """Every row of the first sheet, heading included, as values."""
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        return list(book.active.iter_rows(values_only=True))
    finally:
        book.close()
