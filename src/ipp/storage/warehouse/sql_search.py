"""Search and order of texts in SQL, without regard to case and accents.

SQL has no Unicode decomposition, so the letters of the catalogues are folded one by one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

from ipp.core.contract import Table
from ipp.storage.warehouse.sql_statement import SqlValue
from ipp.storage.warehouse.warehouse import SearchText

_LETTER_RANGES: Final = (range(0xA0, 0x530), range(0x1D00, 0x2200))
"""Latin, Greek, Cyrillic, marks, punctuation, super- and subscripts, and letter-like signs."""

_SPELLED_OUT_SIGNS: Final = "¼½¾…™№℃"
"""Signs of the catalogues that fold to several letters."""


def fold_sql(label: str) -> str:
    """Return the equivalent of `ipp.storage.warehouse.warehouse.fold_text` as SQL.

    It covers the letters of `fold_parameters`, because SQL has no Unicode decomposition.
    """
    text = f"translate({label}, :accented, :plain)"
    for sign in _SPELLED_OUT_SIGNS:
        text = f"replace({text}, '{sign}', '{_strip_marks(sign)}')"
    return f"lower({text})"


@cache
def fold_parameters() -> dict[str, SqlValue]:
    """Return the two arguments of SQL's ``translate``: letters, and what they fold to.

    Letters that fold to one letter are paired with it. Marks come last in the first argument and
    have no pair, so ``translate`` deletes them.
    """
    folded = {
        chr(code): _strip_marks(chr(code))
        for letter_range in _LETTER_RANGES
        for code in letter_range
    }
    replacements = {
        letter: plain for letter, plain in folded.items() if len(plain) == 1 and plain != letter
    }
    marks = "".join(letter for letter, plain in folded.items() if not plain)
    return {"accented": "".join(replacements) + marks, "plain": "".join(replacements.values())}


def _strip_marks(letter: str) -> str:
    """Return a letter without its marks, in the same case."""
    return "".join(
        c
        for c in unicodedata.normalize("NFKD", letter)
        if not unicodedata.category(c).startswith("M")
    )


def contains_sql(
    values: dict[str, SqlValue],
    text: str,
    table: Table,
    *,
    numbers: Iterable[str],
    texts: Iterable[str],
) -> list[str]:
    """Return the condition that ``text`` is in any column, as a list; empty if it is blank.

    Adds the condition's parameters to ``values``.
    """
    needle = SearchText(text)
    if not needle.folded:
        return []
    conditions = [f"contains(CAST({table.labels[name]} AS STRING), :digits)" for name in numbers]
    conditions += [f"contains({fold_sql(table.labels[name])}, :folded)" for name in texts]
    values |= {"folded": needle.folded, **fold_parameters()}
    if numbers:
        values["digits"] = needle.digits
    return [f"({' OR '.join(conditions)})"]
