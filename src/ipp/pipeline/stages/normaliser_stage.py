"""Job 1: every product of the catalogue, normalised, for each mostrador of the job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl

from ipp.core import product_category
from ipp.core.parameters import DAYS_PER_MONTH, REFERENCE_FACTOR, SHARE_PREMIUM, SHARE_TRADITIONAL, Parameters
from ipp.core.product_groups import GROUPS
from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, PREDICTIVE, SELLOUT, STOCK
from ipp.core.traditional import history
from ipp.core.traditional.normalise import normalise, ratio
from ipp.core.workbook_columns import PREDICTED, RAW
from ipp.errors import InvalidInputError, NotConfiguredError
from ipp.formats.spreadsheet import SHEET_ROWS, write_xlsx
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.runner import Kept, Rows, Runner
from ipp.pipeline.runners.stage_run import Work
from ipp.pipeline.stages.forecast_step import expected

Profile = Mapping[str, Any]
"""A mostrador's row and its configuration."""


def normalise_job(spec: JobSpec, runner: Runner, work: Work) -> None:
    """Leave each mostrador's rows, and the workbook of all, under ``ipp-raw/{job_id}/``.

    The workbook has the predictive model's columns where one of the mostradores is of it; where a sheet cannot hold
    all there is none, and whoever wants a mostrador's asks for it. Raises `InvalidInputError`
    where what was there when the job was asked for is gone.
    """
    counters = _here(runner.scan(COUNTERS))
    settings = _here(runner.scan(CONFIGURATIONS).filter(nw.col("mostrador").is_in(spec.mostradores)))
    profiles = {row["mostrador"]: row for row in counters.join(settings, on="mostrador").iter_rows(named=True)}
    catalogue = _here(runner.scan(MATERIALS))
    _check(spec, profiles, catalogue)
    predictive = {m for m, profile in profiles.items() if profile["inventory_model"] == PREDICTIVE}
    market = _market(spec, runner, counters, catalogue, predictive, work)
    kept = Kept(RAW, spec.raw(""))
    kernel = Normaliser(profiles, spec.parameters)
    if len(catalogue) * len(spec.mostradores) > SHEET_ROWS:
        runner.leave(market.rows_of, kernel, kept, work)
        return
    labels = {c.name: c.label for c in RAW.columns if predictive or c not in PREDICTED}
    frames = runner.keep(market.rows_of, kernel, kept, work, _whole)
    with runner.files.writing(spec.raw("raw_data.xlsx")) as path, runner.scratch.folder() as folder:
        write_xlsx(path, frames, labels, folder, formats=RAW.formats, created=spec.created_at)


def _whole(rows: pl.DataFrame) -> pl.DataFrame:
    """Hand on all of a mostrador's rows."""
    return rows


def _check(spec: JobSpec, profiles: Mapping[int, Profile], catalogue: pl.DataFrame) -> None:
    if gone := [str(mostrador) for mostrador in spec.mostradores if mostrador not in profiles]:
        raise NotConfiguredError(
            f"Ya no tienen configuración o renglón en mostradores: {', '.join(gone)}.",
            hint="Impórtelos otra vez, o empiece el proceso sin ellos.",
        )
    if catalogue.is_empty():
        raise InvalidInputError("Ya no hay materiales.", hint="Importe el catálogo y empiece el proceso otra vez.")


def _here(rows: Rows) -> pl.DataFrame:
    """Rows of a table that is small whatever the chain, in order of its key."""
    found: pl.DataFrame = rows.collect("polars").to_native()
    return found.sort(found.columns[0])


@dataclass(frozen=True, slots=True)
class _Market:
    """What the mostradores of a job share: the catalogue, own sales, stock, and the demand of their areas."""

    runner: Runner
    counters: pl.DataFrame
    catalogue: Rows
    sales: Rows
    stock: Rows
    area_sales: Rows
    area_forecast: Rows
    expected: Rows

    def rows_of(self, mostradores: Collection[int]) -> Rows:
        """A row for each product at each of ``mostradores``, with what it sold, has, and is expected to sell."""
        asked = self.counters.filter(pl.col("mostrador").is_in(mostradores)).select("mostrador", "postal_code")
        mine = nw.col("mostrador").is_in(list(mostradores))
        here = nw.col("postal_code").is_in(asked["postal_code"].unique().drop_nulls().to_list())
        return (
            self.runner.frame(asked)
            .join(self.catalogue, how="cross")
            .join(self.area_sales.filter(here), on=["postal_code", "material"], how="left")
            .join(self.area_forecast.filter(here), on=["postal_code", "material"], how="left")
            .join(self.sales.filter(mine), on=["mostrador", "material"], how="left")
            .join(self.stock.filter(mine), on=["mostrador", "material"], how="left")
            .join(self.expected.filter(mine), on=["mostrador", "material"], how="left")
        )


def _market(
    spec: JobSpec,
    runner: Runner,
    counters: pl.DataFrame,
    catalogue: pl.DataFrame,
    predictive: Collection[int],
    work: Work,
) -> _Market:
    """Own sales and area demand of every postal code that the work touches: all its counters, to do or not."""
    asked = nw.col("mostrador").is_in(work.todo)
    codes = counters.filter(pl.col("mostrador").is_in(work.todo))["postal_code"].unique()
    neighbours = counters.filter(pl.col("postal_code").is_in(codes.implode()))
    sellout = runner.scan(SELLOUT).filter(nw.col("mostrador").is_in(neighbours["mostrador"].to_list()))
    sales = runner.once(history.own_sales(sellout, spec.cutoff))
    forecast = runner.scan(AREA_FORECAST).filter(nw.col("postal_code").is_in(codes.to_list()))
    return _Market(
        runner=runner,
        counters=counters,
        catalogue=runner.frame(catalogue),
        sales=sales,
        stock=runner.once(runner.scan(STOCK).filter(asked).select("mostrador", "material", "on_hand", "in_transit")),
        area_sales=runner.once(history.area_sales(sales, runner.frame(neighbours))),
        area_forecast=runner.once(forecast.select("postal_code", "material", area_forecast=nw.col("area_demand"))),
        expected=expected(spec, runner, counters, catalogue, predictive, work),
    )


@dataclass(frozen=True, slots=True)
class Normaliser:
    """The kernel of one mostrador: from what its products sold and its area expects to the rows of Job 1."""

    profiles: Mapping[int, Profile]
    parameters: Parameters

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The mostrador's rows, in order of material."""
        demand = history.area_demand(pl.col("area_forecast"), pl.col("area_sales_365d"), pl.col("area_sales_90d"))
        products = rows.sort("material").with_columns(history.exact()).with_columns(demand.alias("area_demand"))
        return _counter(products, self.profiles[rows["mostrador"][0]], self.parameters)


def _counter(products: pl.DataFrame, profile: Profile, parameters: Parameters) -> pl.DataFrame:
    worth = pl.col("area_demand") * pl.col("price").fill_null(0)
    forecast_value = float(products.select(worth.sum()).item() or 0.0)
    own_value = profile["counter_sales_value"]
    if own_value is None:
        own_value = products.select(history.sales_value(pl.col("sales_90d"), pl.col("price"))).item()
    sales_value = round(float(own_value), 2)
    share = ratio(sales_value, forecast_value)
    switches = {group.name: profile[f"include_{group.name}"] is not False for group in GROUPS}
    return normalise(products, ratio=share, cover_days=parameters.cover_days).with_columns(
        product_category.exclusion("category", switches).alias("exclusion_group"),
        area_demand_value=worth.round(2),
        inventory_model=pl.lit(profile["inventory_model"]),
        counter_sales_value=pl.lit(sales_value),
        area_forecast_value=pl.lit(round(forecast_value, 2)),
        ratio=pl.lit(share),
        reference_factor=pl.lit(REFERENCE_FACTOR),
        counter_name=pl.lit(profile["counter_name"], dtype=pl.String),
        rule_sales_90d=pl.col("sales_90d"),
        rule_sales_365d=pl.col("sales_365d"),
        cover_share=pl.lit(parameters.cover_days / DAYS_PER_MONTH),
        premium_share=pl.lit(SHARE_PREMIUM),
        traditional_share=pl.lit(SHARE_TRADITIONAL),
        configured_target=pl.lit(profile["target_investment"], dtype=pl.Float64),
    )
