"""The table of products: which rows an address asks for, and the addresses of its heads and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from ipp.core.tables import RESULTS
from ipp.server.api.problem_response import BodyError
from ipp.server.api.query_parameter import MAX_SEARCH_CHARACTERS
from ipp.server.api.row_routes import DEFAULT_PAGE_ROWS
from ipp.server.web import formatting
from ipp.storage.warehouse.warehouse import RowQuery, TableRow

_MAX_PAGE: Final = 10**6
"""The last page that any table may have."""


def _text_cell(value: Any) -> str:
    return formatting.NO_VALUE if value is None else str(value)


SHOWN_COLUMNS: Final[Mapping[str, tuple[Callable[[Any], str], str]]] = {
    "material": (str, ""),
    "description": (_text_cell, ""),
    "category": (_text_cell, ""),
    "price": (formatting.money, "number"),
    "optimum": (formatting.whole, "number"),
    "optimum_value": (formatting.money, "number"),
    "expected_demand": (formatting.decimal, "number"),
    "fill_rate": (formatting.percent, "number"),
    "on_hand": (formatting.exact, "number"),
    "suggested_order": (formatting.whole, "number"),
    "budget_change": (formatting.change, "number"),
}
"""The columns that are shown, how a cell is, and the class of its place; the first one is the row's head."""


class TableAddress(BaseModel):
    """What an address says of the table; ``categoria`` is written as `category_parameter` has it.

    ``sin_existencia`` asks for the products that the suggested order leaves out alone.
    """

    orden: str = RESULTS.labels["optimum_value"]
    sentido: Literal["asc", "desc"] = "desc"
    busca: Annotated[str, Field(max_length=MAX_SEARCH_CHARACTERS)] = ""
    categoria: Annotated[str, Field(max_length=MAX_SEARCH_CHARACTERS)] = ""
    sin_existencia: bool = False
    pagina: Annotated[int, Field(ge=1, le=_MAX_PAGE)] = 1


@dataclass(frozen=True, slots=True)
class ColumnHead:
    """A column's head: what it is called in code, its class, how it is sorted now, and what a click on it asks for."""

    name: str
    place: str
    sorted: str
    address: str


@dataclass(frozen=True, slots=True)
class TableQuery:
    """What an address asks of the table at ``path``: sorted by ``sort``, searched, of a category, page ``page``.

    ``category`` and ``unknown_stock`` are as `ipp.storage.warehouse.warehouse.RowQuery` has them.
    """

    path: str
    sort: str
    descending: bool
    text: str
    category: str | None
    page: int
    unknown_stock: bool = False

    @classmethod
    def parse(cls, path: str, given: TableAddress) -> TableQuery:
        """What the words of an address ask. Raises `BodyError` for a column that is none."""
        if given.orden not in RESULTS.names:
            raise BodyError(
                [("orden", f"no existe la columna «{given.orden[:MAX_SEARCH_CHARACTERS]}»")]
            )
        sort, descending = RESULTS.names[given.orden], given.sentido == "desc"
        category = (
            None
            if not given.categoria
            else ""
            if given.categoria == formatting.NO_VALUE
            else given.categoria
        )
        return cls(
            path, sort, descending, given.busca, category, given.pagina, given.sin_existencia
        )

    def to_row_query(self, job_id: str, mostrador: int) -> RowQuery:
        """The same, as a warehouse is asked."""
        start = (self.page - 1) * DEFAULT_PAGE_ROWS
        return RowQuery(
            job_id,
            mostrador,
            self.text,
            self.sort,
            self.descending,
            start,
            DEFAULT_PAGE_ROWS,
            self.category,
            tuple(SHOWN_COLUMNS),
            self.unknown_stock,
        )

    def page_address(self, page: int) -> str:
        """The address of another page of the same."""
        return replace(self, page=page).address

    @property
    def label(self) -> str:
        """The column it is sorted by, as an address has it."""
        return RESULTS.labels[self.sort]

    @property
    def order(self) -> str:
        """Which way it is sorted, as an address has it."""
        return "desc" if self.descending else "asc"

    @property
    def address(self) -> str:
        """Where a browser finds the same again."""
        category = "" if self.category is None else category_parameter(self.category)
        words = {
            "orden": self.label,
            "sentido": self.order,
            "busca": self.text,
            "categoria": category,
        }
        words["sin_existencia"] = "1" if self.unknown_stock else ""
        page = {"pagina": str(self.page)} if self.page > 1 else {}
        return (
            f"{self.path}?{urlencode({name: word for name, word in words.items() if word} | page)}"
        )

    @property
    def heads(self) -> Sequence[ColumnHead]:
        """The heads of the columns; a click on one sorts by it, numbers from the largest, and the other way next."""
        found = []
        for name, (_, place) in SHOWN_COLUMNS.items():
            now = (
                ("descending" if self.descending else "ascending") if name == self.sort else "none"
            )
            descending = not self.descending if name == self.sort else place == "number"
            address = replace(self, sort=name, descending=descending, page=1).address
            found.append(ColumnHead(name, place, now, address))
        return found


def category_parameter(category: str) -> str:
    """A category as an address has it; that of products without one is the sign that stands for it in the table."""
    return category or formatting.NO_VALUE


def row_cells(row: TableRow) -> Sequence[tuple[str, str]]:
    """A row as it is shown: the text and the class of each cell."""
    return [(show(row[name]), place) for name, (show, place) in SHOWN_COLUMNS.items()]


def last_page_number(total: int) -> int:
    """The number of the last page of so many rows; the first where there is none."""
    return max(1, -(-total // DEFAULT_PAGE_ROWS))
