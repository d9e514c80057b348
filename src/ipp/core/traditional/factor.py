"""The factor step of one mostrador: choose the rounding factor and apply it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ipp.core import money
from ipp.core.parameters import DAYS_PER_MONTH, Parameters
from ipp.core.traditional import rounding
from ipp.errors import InvalidInputError

_RULE_COLUMNS = (
    "rounded", "rescue_applied", "rescued", "rule_p_applied", "rule_p", "rule_q_applied", "rule_q",
    "pack_applied", "packed", "bump_applied", "bumped",
)  # fmt: skip
"""The fields of `rounding.RoundingSteps` that are published as columns."""

Ints = npt.NDArray[np.int64]

MAX_INVESTMENT_MXN: Final = 9e14
"""Largest investment of a counter: 64 bits of ten-thousandths of a peso end at 9.22e14 MXN."""


@dataclass(frozen=True, slots=True)
class FactorStep:
    """The result of the factor step for one mostrador.

    ``frame`` is the products with every rule's column added, in their original order; ``factor``
    the rounding factor; ``investment`` and ``target`` are MXN to the cent, ``target`` None without
    one; ``curve`` the investment at each factor 0.01 … 0.99, empty where the factor was forced.
    """

    frame: pl.DataFrame
    factor: float
    investment: float
    target: float | None
    curve: Sequence[tuple[float, float]]

    @property
    def products(self) -> int:
        """Number of products."""
        return len(self.frame)

    @property
    def products_with_stock(self) -> int:
        """Number of products that will be stocked."""
        return int((self.frame["stocked_units"] > 0).sum())

    @property
    def units(self) -> int:
        """Units that will be stocked."""
        return int(self.frame["stocked_units"].sum())


def target_investment(
    parameters: Parameters, *, configured: float | None, counter_sales_value: float | None
) -> float | None:
    """Return the target investment, MXN: the run's, else the configured, else one from sales.

    The last is counter_sales_value / 30 × investment_days; None where sales are unknown too.
    """
    if parameters.target_investment is not None:
        return parameters.target_investment
    if configured is not None:
        return configured
    if counter_sales_value is None:
        return None
    return counter_sales_value / DAYS_PER_MONTH * parameters.investment_days


def apply_factor_step(
    frame: pl.DataFrame, parameters: Parameters, target: float | None
) -> FactorStep:
    """Apply the forced factor, or the one whose investment is nearest to ``target`` (MXN).

    ``frame`` is one mostrador's products, with the columns of `rounding.prepare_products`.
    ``target`` may be None only where the factor is forced. Raises `InvalidInputError` where the
    investment may exceed `MAX_INVESTMENT_MXN`.
    """
    products = rounding.prepare_products(frame, parameters)
    chosen = _choose_factor(frame["material"], products, parameters, target)
    return FactorStep(
        frame=_add_rule_columns(frame, [chosen]),
        factor=chosen.percent / 100,
        investment=money.to_pesos(chosen.value.sum()),
        target=None if target is None else round(target, 2),
        curve=[
            (k / 100, money.to_pesos(x))
            for k, x in zip(rounding.FACTOR_PERCENTS.tolist(), chosen.investments, strict=False)
        ],
    )


def apply_factor_steps(
    frame: pl.DataFrame, parameters: Parameters, targets: Sequence[tuple[slice, float | None]]
) -> pl.DataFrame:
    """Return ``frame`` with the columns that `apply_factor_step` adds for each counter.

    ``targets`` has the rows of each counter, in their order and none left out, with its target.
    """
    prepared = rounding.prepare_counters(frame, parameters, [rows for rows, _ in targets])
    chosen = [
        _choose_factor(frame["material"][rows], products, parameters, target)
        for (rows, target), products in zip(targets, prepared, strict=True)
    ]
    return _add_rule_columns(frame, chosen)


@dataclass(frozen=True, slots=True)
class _ChosenFactor:
    """The factor of one counter, in ``percent``, and its ``products`` after the rules.

    ``investments`` are those of all factors, empty if it was forced; ``value`` is the cost of each
    product. Both are in ten-thousandths of a peso.
    """

    products: rounding.RoundingProducts
    target: float | None
    percent: int
    investments: Sequence[int]
    steps: rounding.RoundingSteps
    value: Ints


def _choose_factor(
    material: pl.Series,
    products: rounding.RoundingProducts,
    parameters: Parameters,
    target: float | None,
) -> _ChosenFactor:
    _check_investment(material, products)
    investments: Sequence[int] = ()
    if parameters.forced_factor is not None:
        percent = round(100 * parameters.forced_factor)
    else:
        if target is None:
            raise ValueError("a target is needed to choose a factor")
        by_factor = rounding.investment_by_factor(products)
        percent, investments = rounding.choose_factor(by_factor, target), by_factor.tolist()
    steps = rounding.apply_rules(products, np.array([percent]))
    value = np.where(products.stocked, steps.bumped[0] * products.price, 0)
    return _ChosenFactor(products, target, percent, investments, steps, value)


def _check_investment(material: pl.Series, products: rounding.RoundingProducts) -> None:
    """Raise `InvalidInputError` where the investment may exceed `MAX_INVESTMENT_MXN`."""
    price = np.where(products.stocked, products.price, 0) / money.UNITS_PER_PESO
    largest = rounding.largest_units(products) * price
    if largest.sum() > MAX_INVESTMENT_MXN:
        most = int(np.argmax(largest))
        raise InvalidInputError(
            f"La inversión de un mostrador pasaría de {MAX_INVESTMENT_MXN:,.0f} MXN, "
            "que no es posible: la que más suma es la del material "
            f"{material[most]}, {largest[most]:,.2f} MXN.",
            hint="Revise sus piezas, su precio y su sub empaque.",
        )


def _add_rule_columns(frame: pl.DataFrame, counters: Sequence[_ChosenFactor]) -> pl.DataFrame:
    """Add the rules' columns of ``counters``, one after the other, to their rows in ``frame``."""
    rows = [len(counter.value) for counter in counters]

    def repeat(values: Sequence[float | None]) -> pl.Series:
        index = np.repeat(np.arange(len(rows)), rows)
        return pl.Series(values, dtype=pl.Float64).gather(index)

    rules = {
        name: np.concatenate([getattr(counter.steps, name)[0] for counter in counters])
        for name in _RULE_COLUMNS
    }
    stocked = np.concatenate([counter.products.stocked for counter in counters])
    value = np.concatenate([counter.value for counter in counters])
    running = np.concatenate([np.cumsum(counter.value) for counter in counters])
    return frame.with_columns(
        repeat([counter.percent / 100 for counter in counters]).alias("rounding_factor"),
        (pl.col("area_demand").fill_null(0) * pl.col("price").fill_null(0)).alias("bump_priority"),
        *(pl.Series(name, column) for name, column in rules.items()),
        pl.Series("stocked_units", np.where(stocked, rules["bumped"], 0)),
        repeat([counter.target for counter in counters]).alias("target_investment"),
        pl.Series("optimum_value", value / money.UNITS_PER_PESO),
        pl.Series("running_value", running / money.UNITS_PER_PESO),
    )
