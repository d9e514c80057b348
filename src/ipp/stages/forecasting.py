"""What the predictive model expects of each counter, area by area, for Job 1 to hand on."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from ipp.core import weeks
from ipp.core.tables import MATERIALS, SELLOUT, STOCK
from ipp.lakehouse.base import Lakehouse
from ipp.request import JobSpec


class Forecasts:
    """Forecasts for the counters of ``spec``, made for all of an area when the first of them asks."""

    def __init__(self, spec: JobSpec, lakehouse: Lakehouse, counters: pl.DataFrame) -> None:
        self._spec = spec
        self._lakehouse = lakehouse
        self._counters = counters
        self._made: dict[object, pl.DataFrame] = {}

    def of(self, mostrador: int, postal_code: object) -> pl.DataFrame:
        """What is expected of each material: the columns of `ipp.core.weeks.predict`, without mostrador."""
        if postal_code not in self._made:
            asked = pl.col("mostrador").is_in(self._spec.mostradores)
            self._made[postal_code] = self._make(postal_code).filter(asked)
        return self._made[postal_code].filter(pl.col("mostrador") == mostrador).drop("mostrador")

    def _make(self, postal_code: object) -> pl.DataFrame:
        spec = self._spec
        area = self._counters.filter(pl.col("postal_code") == postal_code)["mostrador"]
        ago = (pl.lit(spec.cutoff) - pl.col("date")).dt.total_days()
        sold = (
            self._lakehouse.scan(SELLOUT)
            .filter(
                pl.col("mostrador").is_in(area.implode()),
                pl.col("date") > weeks.since(spec.cutoff),
                pl.col("date") <= spec.cutoff,
            )
            .group_by("mostrador", "material", week=ago // weeks.WEEK)
            .agg(pl.col("units").sum().round(3), oldest=ago.max())
            .sort("mostrador", "material", "week")
            .collect(engine="streaming")
        )
        # A week that the sell-out does not reach back to the first day of would look like a slow one.
        whole = (int(sold["oldest"].max() or 0) + 1) // weeks.WEEK  # type: ignore[arg-type]  # days
        catalogue = self._lakehouse.scan(MATERIALS).select("material", "category").collect()
        return weeks.predict(
            sold.filter(pl.col("week") < max(1, whole)), catalogue, self._empty(area), spec.parameters.cover_days
        )

    def _empty(self, counters: Iterable[int]) -> pl.DataFrame:
        """What has no stock: what was not sold since its last sale may have been asked for."""
        stock = self._lakehouse.scan(STOCK).filter(pl.col("mostrador").is_in(list(counters)))
        gone = stock.filter(
            pl.col("on_hand") == 0, pl.col("counted_on").is_null() | (pl.col("counted_on") <= pl.lit(self._spec.cutoff))
        )
        return gone.select("mostrador", "material").sort("mostrador", "material").collect()
