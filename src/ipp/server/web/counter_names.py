"""Names of mostradores, which the pages show beside their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import polars as pl
from fastapi import Depends, FastAPI, Request

from ipp.core.tables import COUNTERS
from ipp.storage.lakehouse.lakehouse import Lakehouse


class CounterNames:
    """The names of mostradores, read from ``lakehouse``."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def names_of(self, mostradores: Sequence[int]) -> Mapping[int, str]:
        """Return the names of ``mostradores`` by number, without those that have none."""
        named = self._lakehouse.scan_table(COUNTERS).filter(
            pl.col("mostrador").is_in(mostradores), pl.col("counter_name").is_not_null()
        )
        return dict(named.select("mostrador", "counter_name").collect().iter_rows())

    def name_of(self, mostrador: int) -> str:
        """Return the name of ``mostrador``, empty where it has none."""
        return self.names_of([mostrador]).get(mostrador, "")


def install_counter_names(app: FastAPI, lakehouse: Lakehouse) -> None:
    """Make the names available to every page of ``app``, as `CounterNamesDep`."""
    app.state.names = CounterNames(lakehouse)


def _get_counter_names(request: Request) -> CounterNames:
    return cast("CounterNames", request.app.state.names)


CounterNamesDep = Annotated[CounterNames, Depends(_get_counter_names)]
