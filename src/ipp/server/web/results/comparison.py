"""Comparison of two jobs: which quantities rose, which fell, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from ipp.core import money
from ipp.core.tables import RESULTS
from ipp.jobs.job import Job
from ipp.server.web.formatting import exact
from ipp.storage.lakehouse.lakehouse import Lakehouse

MAX_SHOWN_PRODUCTS: Final = 50
"""Products that rose, and as many that fell, at most: the largest changes of investment."""

_KEY_COLUMNS: Final = ("mostrador", "material")


@dataclass(frozen=True, slots=True)
class JobComparison:
    """Changes since an earlier job, by mostrador and by product.

    Each is sorted by absolute change of investment, descending.
    """

    counters: Sequence[Mapping[str, Any]]
    rose: Sequence[Mapping[str, Any]]
    fell: Sequence[Mapping[str, Any]]


def compare_jobs(
    lakehouse: Lakehouse, earlier: str, later: str, mostrador: int | None
) -> JobComparison:
    """Compare two jobs; the products are those of ``mostrador``, unless it is None.

    A product that only one of them has counts as zero in the other.
    """
    changes = _product_changes(lakehouse, earlier, later)
    products = changes if mostrador is None else changes.filter(pl.col("mostrador") == mostrador)
    rose, fell = (
        _largest_changes(products.filter(part))
        for part in (pl.col("change") > 0, pl.col("change") < 0)
    )
    counters = (
        changes.group_by("mostrador")
        .agg(
            pl.col("value_before", "value", "change", "optimum_before", "optimum").sum(),
            rose=(pl.col("change") > 0).sum(),
            fell=(pl.col("change") < 0).sum(),
        )
        .sort(pl.col("change").abs(), "mostrador", descending=[True, False])
    )
    described = (_describe_rows(lakehouse, earlier, later, frame) for frame in (rose, fell))
    return JobComparison(*(_to_pesos(frame) for frame in (counters, *described)))


def changed_parameters(earlier: Job, later: Job) -> Sequence[tuple[str, str, str]]:
    """Return the label and both formatted values of each parameter that differs."""
    before, after = earlier.parameters.to_labels(), later.parameters.to_labels()
    changed = [label for label in after if before[label] != after[label]]
    return [(label, exact(before[label]), exact(after[label])) for label in changed]


def _product_changes(lakehouse: Lakehouse, earlier: str, later: str) -> pl.DataFrame:
    """Return each product of either job, its investment in ten-thousandths of a peso.

    They are integers, so that no sum depends on its order. Texts are left out: those of two jobs of
    thousands of mostradores would take too much of a server's memory.
    """
    value = (pl.col("optimum_value").fill_null(0.0) * money.UNITS_PER_PESO).round(0).cast(pl.Int64)

    def of(job_id: str, ending: str) -> pl.LazyFrame:
        return lakehouse.scan_table(RESULTS, [job_id]).select(
            *_KEY_COLUMNS,
            pl.col("optimum").alias(f"optimum{ending}"),
            value.alias(f"value{ending}"),
        )

    both = of(later, "").join(of(earlier, "_before"), on=_KEY_COLUMNS, how="full", coalesce=True)
    counted = both.with_columns(
        pl.col("value", "value_before", "optimum", "optimum_before").fill_null(0)
    )
    return counted.with_columns(change=pl.col("value") - pl.col("value_before")).collect()


def _largest_changes(products: pl.DataFrame) -> pl.DataFrame:
    return products.sort(
        pl.col("change").abs(), *_KEY_COLUMNS, descending=[True, False, False]
    ).head(MAX_SHOWN_PRODUCTS)


def _describe_rows(
    lakehouse: Lakehouse, earlier: str, later: str, rows: pl.DataFrame
) -> pl.DataFrame:
    """Return ``rows``, in order, with their description and each job's reason, null if unknown."""

    def of(job_id: str, ending: str) -> pl.DataFrame:
        mine = lakehouse.scan_table(RESULTS, [job_id]).join(
            rows.lazy().select(_KEY_COLUMNS), on=_KEY_COLUMNS, how="semi"
        )
        texts = mine.select(*_KEY_COLUMNS, pl.col("description", "reason").name.suffix(ending))
        return texts.collect(engine="streaming")

    described = rows.join(of(later, ""), on=_KEY_COLUMNS, how="left", maintain_order="left")
    described = described.join(
        of(earlier, "_before"), on=_KEY_COLUMNS, how="left", maintain_order="left"
    )
    return described.with_columns(pl.coalesce("description", "description_before"))


def _to_pesos(frame: pl.DataFrame) -> Sequence[Mapping[str, Any]]:
    return frame.with_columns(
        (pl.col("value", "value_before", "change") / money.UNITS_PER_PESO).round(2)
    ).to_dicts()
