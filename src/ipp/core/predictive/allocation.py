"""Job 2 of one mostrador of the predictive model: stock where it is expected to earn most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ipp.core import money
from ipp.core.decision import explain
from ipp.core.decision.budget import UNLIMITED, Fit, Floats, Ints, Offer, fit, frontier
from ipp.core.decision.demand import Demand
from ipp.core.parameters import CURVE_POINTS, VITAL_SERVICE, Parameters


@dataclass(frozen=True, slots=True)
class Allocation:
    """``rows`` by material, and the ``curve`` of what each investment would serve (see `ipp.core.tables.CURVES`)."""

    rows: pl.DataFrame
    curve: pl.DataFrame


def allocate(processed: pl.DataFrame, parameters: Parameters) -> Allocation:
    """Spend one mostrador's target where it is expected to earn most and say why each quantity is what it is.

    ``processed`` has the columns of `ipp.core.workbook_columns.PROCESSED`; the rows that come back have those of
    `ipp.core.tables.RESULTS` but for what `ipp.core.decision.publication` adds to every model's.
    """
    processed = processed.sort("material")
    left_out = processed.select(explain.exclusion(parameters).alias("exclusion"))["exclusion"]
    demand = expected(processed)
    offer = offered(processed, demand, left_out.is_null().to_numpy(), parameters)
    target = round(float(processed["target_investment"][0]) * money.SCALE)
    found = fit(offer, target)
    decided = processed.with_columns(
        left_out,
        pl.Series("rule_optimum", offer.least),
        pl.Series("budget_change", found.units - offer.least),
        pl.Series("optimum", found.units),
        pl.Series("least", offer.least),
        pl.Series("most", offer.most),
        pl.Series("next_chance", demand.reaches(found.units + 1)),
        pl.Series("silent_weeks", processed["silent_weeks"].cast(pl.Float64).fill_null(0)),
    )
    return Allocation(rows=decided, curve=_curve(offer, found, demand))


def expected(processed: pl.DataFrame) -> Demand:
    """The demand that was forecast; of a product that the area never sold, the traditional model's share of it."""
    mean = processed.select(pl.coalesce("forecast_mean", "factor_9", pl.lit(0.0)).cast(pl.Float64)).to_series()
    size = processed["forecast_size"].cast(pl.Float64).fill_null(1.0)
    idle = processed["forecast_idle"].cast(pl.Float64).fill_null(0.0)
    return Demand(mean.to_numpy(), size.to_numpy(), idle.to_numpy())


def offered(
    processed: pl.DataFrame, demand: Demand, open_: np.typing.NDArray[np.bool_], parameters: Parameters
) -> Offer:
    """What each product may hold and what it earns; ``open_`` says which of them may be stocked at all."""
    pack = np.maximum(_whole(processed, "inner_pack", 1), 1)
    daily = demand.mean / parameters.cover_days
    shelf = processed["shelf_life"].cast(pl.Float64).to_numpy()
    # What would not be sold before it expires is not bought; one unit may always be.
    sellable = np.where(np.isfinite(shelf), np.maximum(np.floor(np.nan_to_num(shelf) * daily), 1), UNLIMITED)
    most = np.minimum(_whole(processed, "maximum", UNLIMITED), sellable.astype(np.int64)) // pack * pack
    vital = processed["vital"].fill_null(value=False).to_numpy()
    least = np.maximum(_whole(processed, "minimum", 0), np.where(vital, demand.quantile(VITAL_SERVICE), 0))
    least = np.where(open_, np.minimum(-(-least // pack) * pack, most), 0)
    return Offer(
        demand=demand,
        start=least,
        least=least,
        most=most,
        price=money.to_units(processed["price"].cast(pl.Float64).fill_null(0.0).to_numpy()),
        pack=pack,
        open=open_,
        worth=_worth(processed),
    )


def _worth(processed: pl.DataFrame) -> Floats:
    """What a sale is worth: its margin, by the usual one where it is not known; alike where none is."""
    known = processed["margin"].cast(pl.Float64)
    if known.null_count() == len(known) or not known.sum():
        return np.ones(len(known))
    usual = (known / processed["price"]).filter(known.is_not_null() & (processed["price"] > 0)).median()
    share = float(usual) if isinstance(usual, (int, float)) else 0.0
    return known.fill_null(processed["price"].fill_null(0.0) * share).to_numpy()


def _whole(processed: pl.DataFrame, name: str, missing: int) -> Ints:
    return processed[name].cast(pl.Int64).fill_null(missing).to_numpy()


def _curve(offer: Offer, found: Fit, demand: Demand) -> pl.DataFrame:
    total = float(demand.mean[offer.open].sum())
    spent, sold = frontier(offer, CURVE_POINTS)
    chosen = float(demand.expected_sales(found.units)[offer.open].sum())
    rows: list[tuple[float, float, bool, float | None]]
    rows = [(m / money.SCALE, s, False, None) for m, s in zip(spent.tolist(), sold.tolist(), strict=True)]
    rows.append((offer.cost(found.units) / money.SCALE, chosen, True, found.gap))
    schema = {"investment": pl.Float64, "sold": pl.Float64, "chosen": pl.Boolean, "gap": pl.Float64}
    curve = pl.DataFrame(rows, schema=schema, orient="row").unique("investment", keep="last").sort("investment")
    share = pl.col("sold") / total if total else pl.lit(None, dtype=pl.Float64)
    return curve.with_columns(share.round(6).alias("fill_rate"), pl.col("investment").round(2)).drop("sold")
