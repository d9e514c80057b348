"""Table of products: the rows that an address asks for, and the addresses it links to."""

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
"""Largest page number that an address may have."""


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
"""Columns shown, each with its formatter and its CSS class; the first one heads the row."""


class TableAddress(BaseModel):
    """Query parameters of the table; ``categoria`` is written by `category_parameter`.

    ``sin_existencia`` asks only for the products that the suggested order leaves out.
    """

    orden: str = RESULTS.labels["optimum_value"]
    sentido: Literal["asc", "desc"] = "desc"
    busca: Annotated[str, Field(max_length=MAX_SEARCH_CHARACTERS)] = ""
    categoria: Annotated[str, Field(max_length=MAX_SEARCH_CHARACTERS)] = ""
    sin_existencia: bool = False
    pagina: Annotated[int, Field(ge=1, le=_MAX_PAGE)] = 1


@dataclass(frozen=True, slots=True)
class ColumnHead:
    """A column's head: its name in code, its CSS class, its sort state, and its link."""

    name: str
    place: str
    sorted: str
    address: str


@dataclass(frozen=True, slots=True)
class TableQuery:
    """The rows that an address asks for: sorted, searched, of one category, and of one page.

    ``path`` is the table's. ``category`` and ``unknown_stock`` are those of
    `ipp.storage.warehouse.warehouse.RowQuery`.
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
        """Parse the query parameters. Raises `BodyError` for an unknown column."""
        if given.orden not in RESULTS.names:
            raise BodyError(
                [("orden", f"no existe la columna «{given.orden[:MAX_SEARCH_CHARACTERS]}»")]
            )
        sort, descending = RESULTS.names[given.orden], given.sentido == "desc"
        category: str | None = given.categoria or None
        if category == formatting.NO_VALUE:
            # Products without a category: the inverse of `category_parameter`.
            category = ""
        return cls(
            path, sort, descending, given.busca, category, given.pagina, given.sin_existencia
        )

    def to_row_query(self, job_id: str, mostrador: int) -> RowQuery:
        """Return the equivalent query to the warehouse."""
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
        """Return the address of another page of the same table."""
        return replace(self, page=page).address

    @property
    def label(self) -> str:
        """The column it is sorted by, as written in an address."""
        return RESULTS.labels[self.sort]

    @property
    def order(self) -> str:
        """The direction of the sort, as written in an address."""
        return "desc" if self.descending else "asc"

    @property
    def address(self) -> str:
        """The address of this page of the table."""
        category = "" if self.category is None else category_parameter(self.category)
        parameters = {
            "orden": self.label,
            "sentido": self.order,
            "busca": self.text,
            "categoria": category,
        }
        parameters["sin_existencia"] = "1" if self.unknown_stock else ""
        page = {"pagina": str(self.page)} if self.page > 1 else {}
        present = {name: value for name, value in parameters.items() if value}
        return f"{self.path}?{urlencode(present | page)}"

    @property
    def heads(self) -> Sequence[ColumnHead]:
        """The heads of the columns.

        A click on one sorts by it, numbers descending first; another click reverses the order.
        """
        heads = []
        for name, (_, place) in SHOWN_COLUMNS.items():
            sort_state = (
                ("descending" if self.descending else "ascending") if name == self.sort else "none"
            )
            descending = not self.descending if name == self.sort else place == "number"
            address = replace(self, sort=name, descending=descending, page=1).address
            heads.append(ColumnHead(name, place, sort_state, address))
        return heads


def category_parameter(category: str) -> str:
    """Return a category as written in an address; `NO_VALUE` stands for none, as in the table."""
    return category or formatting.NO_VALUE


def row_cells(row: TableRow) -> Sequence[tuple[str, str]]:
    """Return the text and the CSS class of each cell of a row."""
    return [(show(row[name]), place) for name, (show, place) in SHOWN_COLUMNS.items()]


def last_page_number(total: int) -> int:
    """Return the number of the last page of ``total`` rows; 1 if there are none."""
    return max(1, -(-total // DEFAULT_PAGE_ROWS))
