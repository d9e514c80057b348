"""Job 1: normalise every product of the catalogue for each counter of the job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import narwhals as nw
import polars as pl

from ipp.core import product_category
from ipp.core.counter_rows import slice_counters
from ipp.core.parameters import (
    DAYS_PER_MONTH,
    REFERENCE_FACTOR,
    SHARE_PREMIUM,
    SHARE_TRADITIONAL,
    Parameters,
)
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import (
    AREA_FORECAST,
    CONFIGURATIONS,
    COUNTERS,
    MATERIALS,
    PREDICTIVE_MODEL,
    SELLOUT,
    STOCK,
)
from ipp.core.traditional import history
from ipp.core.traditional.normalise import area_share, normalise_products
from ipp.core.workbook_columns import FORECAST_COLUMNS, RAW_TABLE
from ipp.errors import InvalidInputError, NotConfiguredError
from ipp.formats.spreadsheet import MAX_SHEET_ROWS, write_workbook
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import LazyRows, Runner, StoredRows
from ipp.pipeline.runners.stage_execution import StageExecution
from ipp.pipeline.stages.forecast_step import forecast_counters

Profile = Mapping[str, Any]
"""A counter's row joined with its configuration."""


def run_normaliser_stage(spec: JobSpec, runner: Runner, work: StageExecution) -> None:
    """Write each counter's rows, and one workbook of all, under ``ipp-raw/{job_id}/``.

    The workbook has the predictive model's columns if any counter uses that model. If a sheet
    cannot hold all rows no workbook is written; a single counter's can still be requested. Raises
    `InvalidInputError` or `NotConfiguredError` if inputs were deleted since the job was created.
    """
    counters = _collect_sorted(runner.scan_table(COUNTERS))
    settings = _collect_sorted(
        runner.scan_table(CONFIGURATIONS).filter(nw.col("mostrador").is_in(spec.mostradores))
    )
    profiles = {
        row["mostrador"]: row
        for row in counters.join(settings, on="mostrador").iter_rows(named=True)
    }
    catalogue = _collect_sorted(runner.scan_table(MATERIALS))
    _check_inputs(spec, profiles, catalogue)
    predictive = {
        m for m, profile in profiles.items() if profile["inventory_model"] == PREDICTIVE_MODEL
    }
    market = _gather_inputs(spec, runner, counters, catalogue, predictive, work)
    raw = StoredRows(RAW_TABLE, spec.raw_key(""))
    kernel = NormaliserKernel(profiles, spec.parameters)
    if len(catalogue) * len(spec.mostradores) > MAX_SHEET_ROWS:
        runner.store_counters(market.rows_of, kernel, raw, work)
        return
    labels = {c.name: c.label for c in RAW_TABLE.columns if predictive or c not in FORECAST_COLUMNS}
    frames = runner.store_and_render(market.rows_of, kernel, raw, work, _identity)
    with (
        runner.files.write_object(spec.raw_key("raw_data.xlsx")) as path,
        runner.scratch.temporary_folder() as folder,
    ):
        write_workbook(
            path, frames, labels, folder, formats=RAW_TABLE.formats, created=spec.created_at
        )


def _identity(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a counter's rows unchanged."""
    return rows


def _check_inputs(spec: JobSpec, profiles: Mapping[int, Profile], catalogue: pl.DataFrame) -> None:
    missing = [str(mostrador) for mostrador in spec.mostradores if mostrador not in profiles]
    if missing:
        raise NotConfiguredError(
            f"Ya no tienen configuración o renglón en mostradores: {', '.join(missing)}.",
            hint="Impórtelos otra vez, o empiece el proceso sin ellos.",
        )
    if catalogue.is_empty():
        raise InvalidInputError(
            "Ya no hay materiales.", hint="Importe el catálogo y empiece el proceso otra vez."
        )


def _collect_sorted(rows: LazyRows) -> pl.DataFrame:
    """Collect a table that is small for any chain, sorted by its key, the first column."""
    collected: pl.DataFrame = rows.collect("polars").to_native()
    return collected.sort(collected.columns[0])


@dataclass(frozen=True, slots=True)
class _JobInputs:
    """Inputs shared by a job's counters: catalogue, own sales, stock and area demand."""

    runner: Runner
    counters: pl.DataFrame
    catalogue: LazyRows
    sales: LazyRows
    stock: LazyRows
    area_sales: LazyRows
    area_forecast: LazyRows
    expected: LazyRows

    def rows_of(self, mostradores: Collection[int]) -> LazyRows:
        """Return a row per product and counter, with its sales, stock and forecast."""
        requested = self.counters.filter(pl.col("mostrador").is_in(mostradores)).select(
            "mostrador", "postal_code"
        )
        own = nw.col("mostrador").is_in(list(mostradores))
        local = nw.col("postal_code").is_in(
            requested["postal_code"].unique().drop_nulls().to_list()
        )
        return (
            self.runner.from_polars(requested)
            .join(self.catalogue, how="cross")
            .join(self.area_sales.filter(local), on=["postal_code", "material"], how="left")
            .join(self.area_forecast.filter(local), on=["postal_code", "material"], how="left")
            .join(self.sales.filter(own), on=["mostrador", "material"], how="left")
            .join(self.stock.filter(own), on=["mostrador", "material"], how="left")
            .join(self.expected.filter(own), on=["mostrador", "material"], how="left")
        )


def _gather_inputs(
    spec: JobSpec,
    runner: Runner,
    counters: pl.DataFrame,
    catalogue: pl.DataFrame,
    predictive: Collection[int],
    work: StageExecution,
) -> _JobInputs:
    """Gather the inputs of the counters to compute.

    Area demand needs the sales of every counter in their postal codes, also those not computed.
    """
    requested = nw.col("mostrador").is_in(work.counters_to_compute)
    codes = counters.filter(pl.col("mostrador").is_in(work.counters_to_compute))[
        "postal_code"
    ].unique()
    neighbours = counters.filter(pl.col("postal_code").is_in(codes.implode()))
    sellout = runner.scan_table(SELLOUT)
    if len(neighbours) < len(counters):  # Else nothing would be left out, at the price of looking.
        sellout = sellout.filter(nw.col("mostrador").is_in(neighbours["mostrador"].to_list()))
    sales = runner.cache_rows(history.sum_counter_sales(sellout, spec.cutoff))
    forecast = runner.scan_table(AREA_FORECAST).filter(nw.col("postal_code").is_in(codes.to_list()))
    return _JobInputs(
        runner=runner,
        counters=counters,
        catalogue=runner.from_polars(catalogue),
        sales=sales,
        stock=runner.cache_rows(
            runner.scan_table(STOCK)
            .filter(requested)
            .select("mostrador", "material", "on_hand", "in_transit")
        ),
        area_sales=runner.cache_rows(history.sum_area_sales(sales, runner.from_polars(neighbours))),
        area_forecast=runner.cache_rows(
            forecast.select("postal_code", "material", area_forecast=nw.col("area_demand"))
        ),
        expected=forecast_counters(spec, runner, counters, catalogue, predictive, work),
    )


@dataclass(frozen=True, slots=True)
class NormaliserKernel:
    """Kernel of some counters: from product sales and area forecast to the rows of Job 1."""

    profiles: Mapping[int, Profile]
    parameters: Parameters

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the counters' rows, sorted by mostrador and material."""
        demand = history.area_demand(
            pl.col("area_forecast"), pl.col("area_sales_365d"), pl.col("area_sales_90d")
        )
        value = pl.col("area_demand") * pl.col("price").fill_null(0)
        products = (
            rows.sort("mostrador", "material")
            .with_columns(history.round_sums())
            .with_columns(area_demand=demand)
            .with_columns(demand_value=value)
        )
        counters = [
            self._describe_counter(mostrador, products[part])
            for mostrador, part in slice_counters(products).items()
        ]
        described = products.join(
            pl.DataFrame(counters, schema=_COUNTER_SCHEMA),
            on="mostrador",
            how="left",
            maintain_order="left",
        )
        cover_days = self.parameters.cover_days
        return normalise_products(described, cover_days=cover_days).with_columns(
            product_category.find_excluded_group("category").alias("exclusion_group"),
            area_demand_value=pl.col("demand_value").round(2),
            reference_factor=pl.lit(REFERENCE_FACTOR),
            rule_sales_90d=pl.col("sales_90d"),
            rule_sales_365d=pl.col("sales_365d"),
            cover_share=pl.lit(cover_days / DAYS_PER_MONTH),
            premium_share=pl.lit(SHARE_PREMIUM),
            traditional_share=pl.lit(SHARE_TRADITIONAL),
        )

    def _describe_counter(self, mostrador: int, products: pl.DataFrame) -> Profile:
        """Return what all ``products`` of a counter share, as a row of `_COUNTER_SCHEMA`."""
        profile = self.profiles[mostrador]
        # Summed by counter on its own, because the order of adding may show in the last bit.
        forecast_value = float(products["demand_value"].sum() or 0.0)
        own_value = profile["counter_sales_value"]
        if own_value is None:
            own_value = products.select(
                history.monthly_sales_value(pl.col("sales_90d"), pl.col("price"))
            ).item()
        sales_value = round(float(own_value), 2)
        switches = {
            group.switch_name: profile[group.switch_name] is not False for group in PRODUCT_GROUPS
        }
        return {
            "mostrador": mostrador,
            "counter_name": profile["counter_name"],
            "inventory_model": profile["inventory_model"],
            "configured_target": profile["target_investment"],
            "counter_sales_value": sales_value,
            "area_forecast_value": round(forecast_value, 2),
            "ratio": area_share(sales_value, forecast_value),
            **switches,
        }


_COUNTER_SCHEMA: Final = pl.Schema(
    {
        "mostrador": pl.Int64(),
        "counter_name": pl.String(),
        "inventory_model": pl.String(),
        "configured_target": pl.Float64(),
        "counter_sales_value": pl.Float64(),
        "area_forecast_value": pl.Float64(),
        "ratio": pl.Float64(),
        **{group.switch_name: pl.Boolean() for group in PRODUCT_GROUPS},
    }
)
"""Columns that all products of a counter share."""
