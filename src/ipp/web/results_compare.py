"""Two jobs beside each other: what rose, what fell, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ipp.core import money
from ipp.core.tables import RESULTS
from ipp.jobs.model import Job
from ipp.lakehouse.base import Lakehouse
from ipp.web.shown import exact

SHOWN: Final = 50
"""Products that rose, and as many that fell, at most: those whose investment changed most."""

_KEY: Final = ("mostrador", "material")


@dataclass(frozen=True, slots=True)
class Compared:
    """What changed from an earlier job: by mostrador, the largest change of investment first, and by product."""

    counters: Sequence[Mapping[str, Any]]
    rose: Sequence[Mapping[str, Any]]
    fell: Sequence[Mapping[str, Any]]


def compare(lakehouse: Lakehouse, earlier: str, later: str, mostrador: int | None) -> Compared:
    """What changed between two jobs; the products are of ``mostrador`` where one is asked for.

    What only one of them has counts as none in the other.
    """
    changes = _changes(lakehouse, earlier, later)
    products = changes if mostrador is None else changes.filter(pl.col("mostrador") == mostrador)
    size = pl.col("change").abs()
    rose = products.filter(pl.col("change") > 0).sort(size, *_KEY, descending=[True, False, False]).head(SHOWN)
    fell = products.filter(pl.col("change") < 0).sort(size, *_KEY, descending=[True, False, False]).head(SHOWN)
    counters = (
        changes.group_by("mostrador")
        .agg(
            pl.col("value_before", "value", "change", "optimum_before", "optimum").sum(),
            rose=(pl.col("change") > 0).sum(),
            fell=(pl.col("change") < 0).sum(),
        )
        .sort(size, "mostrador", descending=[True, False])
    )
    return Compared(*(_in_pesos(frame) for frame in (counters, rose, fell)))


def changed_terms(earlier: Job, later: Job) -> Sequence[tuple[str, str, str]]:
    """The parameters, by their label, that two jobs do not share, and both values as they are read."""
    before, after = earlier.parameters.to_labels(), later.parameters.to_labels()
    changed = [label for label in after if before[label] != after[label]]
    return [(label, exact(before[label]), exact(after[label])) for label in changed]


def _changes(lakehouse: Lakehouse, earlier: str, later: str) -> pl.DataFrame:
    """Each product of either job, its investment in ten-thousandths of a peso, so that no sum depends on its order."""
    value = (pl.col("optimum_value").fill_null(0.0) * money.SCALE).round(0).cast(pl.Int64)

    def of(job_id: str, ending: str) -> pl.LazyFrame:
        rows = lakehouse.scan(RESULTS, [job_id])
        told = {
            "description": pl.col("description"),
            "optimum": pl.col("optimum"),
            "value": value,
            "reason": pl.col("reason"),
        }
        return rows.select(*_KEY, **{f"{name}{ending}": cell for name, cell in told.items()})

    both = of(later, "").join(of(earlier, "_before"), on=_KEY, how="full", coalesce=True)
    counted = pl.col("value", "value_before", "optimum", "optimum_before").fill_null(0)
    described = pl.coalesce("description", "description_before").alias("description")
    return both.with_columns(counted, described).with_columns(change=pl.col("value") - pl.col("value_before")).collect()


def _in_pesos(frame: pl.DataFrame) -> Sequence[Mapping[str, Any]]:
    return frame.with_columns((pl.col("value", "value_before", "change") / money.SCALE).round(2)).to_dicts()
