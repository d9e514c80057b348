"""Job 1: every product of the catalogue, normalised, for each mostrador of the job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from ipp.core import categories, history
from ipp.core.groups import GROUPS
from ipp.core.normalise import normalise, ratio
from ipp.core.parameters import DAYS_PER_MONTH, REFERENCE_FACTOR, SHARE_PREMIUM, SHARE_TRADITIONAL, Parameters
from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, PREDICTIVE, SELLOUT, STOCK
from ipp.core.workbook import PREDICTED, RAW
from ipp.lakehouse.base import Lakehouse
from ipp.request import JobSpec
from ipp.spreadsheet import SHEET_ROWS, write_xlsx
from ipp.stages.forecasting import Forecasts
from ipp.stages.job import Progress, Workspace


@dataclass(frozen=True, slots=True)
class _Market:
    """What the mostradores of a job share: the catalogue, own sales and stock by mostrador, demand by postal code."""

    catalogue: pl.DataFrame
    sales: Mapping[object, pl.DataFrame]
    stock: Mapping[object, pl.DataFrame]
    area: Mapping[object, pl.DataFrame]
    forecasts: Forecasts


def normalise_job(spec: JobSpec, workspace: Workspace, progress: Progress) -> None:
    """Write one Parquet a mostrador, and the workbook of all, under ``ipp-raw/{job_id}/``.

    The mostradores of ``spec`` are known and configured. The workbook has the predictive model's columns where one of
    them is of it.
    """
    lakehouse = workspace.lakehouse
    asked = pl.col("mostrador").is_in(spec.mostradores)
    counters = lakehouse.scan(COUNTERS).collect()
    settings = lakehouse.scan(CONFIGURATIONS).filter(asked).collect()
    profiles = {row["mostrador"]: row for row in counters.join(settings, on="mostrador").iter_rows(named=True)}
    market = _market(spec, lakehouse, counters)
    frames = _normalised(spec, workspace, market, profiles, progress)
    predictive = any(profile["inventory_model"] == PREDICTIVE for profile in profiles.values())
    labels = {c.name: c.label for c in RAW.columns if predictive or c not in PREDICTED}
    if len(market.catalogue) * len(spec.mostradores) <= SHEET_ROWS:
        _workbook(spec, workspace, "raw_data.xlsx", frames, labels)
    else:
        for mostrador, frame in zip(spec.mostradores, frames, strict=True):
            _workbook(spec, workspace, f"raw_data-{mostrador}.xlsx", [frame], labels)


def _normalised(
    spec: JobSpec,
    workspace: Workspace,
    market: _Market,
    profiles: Mapping[int, dict[str, object]],
    progress: Progress,
) -> Iterator[pl.DataFrame]:
    """Write one mostrador's Parquet after the other and hand on its rows; done when the next is asked for."""
    for mostrador in spec.mostradores:
        rows = RAW.conform(_counter(profiles[mostrador], market, spec.parameters).lazy()).collect()
        with workspace.files.writing(spec.raw(f"{mostrador}.parquet")) as path:
            rows.write_parquet(path)
        yield rows
        progress(mostrador)


def _workbook(
    spec: JobSpec, workspace: Workspace, name: str, frames: Iterable[pl.DataFrame], labels: Mapping[str, str]
) -> None:
    with workspace.files.writing(spec.raw(name)) as path, workspace.scratch.folder() as folder:
        write_xlsx(path, frames, labels, folder, formats=RAW.formats, created=spec.created_at)


def _market(spec: JobSpec, lakehouse: Lakehouse, counters: pl.DataFrame) -> _Market:
    """Own sales and area demand of every postal code that the job touches: all its counters, asked or not."""
    codes = counters.filter(pl.col("mostrador").is_in(spec.mostradores))["postal_code"].unique()
    neighbours = counters.filter(pl.col("postal_code").is_in(codes.implode()))
    catalogue = lakehouse.scan(MATERIALS).sort("material").collect()
    sellout = lakehouse.scan(SELLOUT).filter(pl.col("mostrador").is_in(neighbours["mostrador"].implode()))
    sales = history.own_sales(sellout, spec.cutoff).collect(engine="streaming")
    forecast = lakehouse.scan(AREA_FORECAST).filter(pl.col("postal_code").is_in(codes.implode()))
    area = history.area_demand(sales.lazy(), neighbours.lazy(), forecast).collect()
    asked = pl.col("mostrador").is_in(spec.mostradores)
    stock = lakehouse.scan(STOCK).filter(asked).select("mostrador", "material", "on_hand", "in_transit").collect()
    return _Market(
        catalogue=catalogue,
        sales=_by(sales, "mostrador"),
        stock=_by(stock, "mostrador"),
        area=_by(area, "postal_code"),
        forecasts=Forecasts(spec, lakehouse, counters),
    )


def _by(frame: pl.DataFrame, name: str) -> Mapping[object, pl.DataFrame]:
    parts = frame.partition_by(name, as_dict=True, include_key=False)
    return {key[0]: part for key, part in parts.items()}


_NO_DEMAND = pl.DataFrame(schema={"material": pl.Int64, "area_demand": pl.Float64})
_NO_STOCK = pl.DataFrame(schema={"material": pl.Int64, "on_hand": pl.Float64, "in_transit": pl.Float64})
_NO_SALES = pl.DataFrame(schema={"material": pl.Int64, "sales_365d": pl.Float64, "sales_90d": pl.Float64})


def _products(profile: dict[str, object], market: _Market) -> pl.DataFrame:
    """The catalogue with what one mostrador sold, has, and is expected to sell, in order of material."""
    area = market.area.get(profile["postal_code"], _NO_DEMAND)
    sales = market.sales.get(profile["mostrador"], _NO_SALES)
    stock = market.stock.get(profile["mostrador"], _NO_STOCK)
    products = (
        market.catalogue.join(area, on="material", how="left")
        .join(sales, on="material", how="left")
        .join(stock, on="material", how="left")
        .with_columns(pl.col("area_demand", "sales_365d", "sales_90d").fill_null(0.0))
        .sort("material")
    )
    if profile["inventory_model"] == PREDICTIVE:
        expected = market.forecasts.of(int(str(profile["mostrador"])), profile["postal_code"])
        products = products.join(expected, on="material", how="left").sort("material")
    return products


def _counter(profile: dict[str, object], market: _Market, parameters: Parameters) -> pl.DataFrame:
    """One mostrador's rows, in order of material."""
    products = _products(profile, market)
    worth = pl.col("area_demand") * pl.col("price").fill_null(0)
    forecast_value = float(products.select(worth.sum()).item() or 0.0)
    own_value = profile["counter_sales_value"]
    if own_value is None:
        own_value = products.select(history.sales_value(pl.col("sales_90d"), pl.col("price"))).item()
    sales_value = round(float(str(own_value)), 2)
    share = ratio(sales_value, forecast_value)
    switches = {group.name: profile[f"include_{group.name}"] is not False for group in GROUPS}
    return normalise(products, ratio=share, cover_days=parameters.cover_days).with_columns(
        categories.exclusion("category", switches).alias("exclusion_group"),
        area_demand_value=worth.round(2),
        inventory_model=pl.lit(profile["inventory_model"]),
        postal_code=pl.lit(profile["postal_code"]),
        mostrador=pl.lit(profile["mostrador"]),
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
