"""Explain each quantity in one Spanish sentence, with the numbers that led to it."""

from __future__ import annotations

from typing import Final

import polars as pl

from ipp.core import money
from ipp.core.decision.stock_decision import Rule
from ipp.core.parameters import Parameters


def exclusion_reason(parameters: Parameters) -> pl.Expr:
    """Return why a product is not stocked at all (motivo_exclusion), null where it may be.

    Reads exclusion_group and price (MXN).
    """
    price = pl.col("price").fill_null(0)
    dear = price > parameters.max_price
    return (
        pl.when(pl.col("exclusion_group").is_not_null())
        .then(
            pl.format(
                "La configuración del mostrador deja fuera el grupo {}.", pl.col("exclusion_group")
            )
        )
        .when(price <= 0)
        .then(pl.lit("No tiene precio."))
        .when((price * money.UNITS_PER_PESO).round(0) <= 0)
        .then(pl.lit("Su precio es de menos de 0.0001 MXN."))
        .when(dear)
        .then(
            pl.format(
                "Su precio, {} MXN, pasa del máximo de {} MXN.",
                # Null elsewhere, because formatting a price costs more than comparing it.
                _money_text(pl.when(dear).then(price)),
                _money_text(pl.lit(float(parameters.max_price))),
            )
        )
    )


def quantity_reason(parameters: Parameters) -> pl.Expr:
    """Return the reason for a quantity of the traditional model (motivo).

    It names the rules that set the quantity and the change by the budget, or why the product is
    not stocked. Reads the columns of `ipp.core.workbook_columns.PROCESSED_TABLE`, and exclusion,
    expected_demand, optimum and budget_change (units).
    """
    idle = (
        (pl.col("optimum") == 0)
        & (pl.col("expected_demand") == 0)
        & (pl.col("sales_365d").fill_null(0) == 0)
    )
    rules = pl.concat_str(
        _origin_phrase(parameters),
        _rounding_phrase(),
        _rescue_phrase(),
        _pack_phrase(),
        _bump_phrase(),
        _budget_phrase(),
        separator="; ",
        ignore_nulls=True,
    )
    left_out = pl.concat_str(pl.lit("No se surte: "), _lowercase_first(pl.col("exclusion")))
    return (
        pl.when(pl.col("exclusion").is_not_null())
        .then(left_out)
        .when(idle)
        .then(pl.format("Óptimo 0: {} ni venta del mostrador en el año.", _idle_phrase(parameters)))
        .otherwise(pl.format("Óptimo {}: {}.", pl.col("optimum"), rules))
    )


def _idle_phrase(parameters: Parameters) -> pl.Expr:
    """Return why a product without own sales is expected to sell nothing, up to «ni venta …»."""
    area = _decimal_text("area_demand")
    return (
        pl.when(pl.col("area_demand").fill_null(0) == 0)
        .then(pl.lit("no hay demanda en el área"))
        .when(pl.col("counter_sales_value").fill_null(0) == 0)
        .then(
            pl.format(
                "el área pide {} en 30 días, pero el mostrador no tiene venta mensual de la que "
                "sacar su parte,",
                area,
            )
        )
        .otherwise(
            # Factor 9 keeps thousandths of a share of 30 days, over at most 180 days.
            pl.format(
                "de lo que pide el área ({} en 30 días) no le toca al mostrador ni 0.01 en "
                "{} días,",
                area,
                pl.lit(f"{parameters.cover_days:g}"),
            )
        )
    )


SILENCE_MENTION_WEEKS: Final = 8
"""Weeks without a sale from which the reason mentions them."""


def predictive_reason(parameters: Parameters) -> pl.Expr:
    """Return the reason for a quantity of the predictive model (motivo).

    It names the expected demand, the fill rate and what one more unit would do, or why the product
    is not stocked. Reads exclusion, expected_demand, demand_p90, optimum, fill_rate, silent_weeks,
    inner_pack, and the columns of `ipp.core.tables.DECISION_COLUMNS`.
    """
    left_out = pl.concat_str(pl.lit("No se surte: "), _lowercase_first(pl.col("exclusion")))
    phrases = pl.concat_str(
        _forecast_phrase(parameters),
        _fill_rate_phrase(),
        _limit_phrase(parameters),
        _silence_phrase(),
        separator="; ",
        ignore_nulls=True,
    )
    return (
        pl.when(pl.col("exclusion").is_not_null())
        .then(left_out)
        .otherwise(pl.format("Óptimo {}: {}.", pl.col("optimum"), phrases))
    )


def unknown_stock(products: int, value: float, stocked: int) -> str:
    """Return the sentence about products that a suggested order leaves out for unknown stock.

    They are ``products``, at least 1, of the ``stocked`` with an optimum; ``value`` is the worth of
    their optimum, MXN.
    """
    amount = f"por ${value:,.2f}"
    if products == stocked:
        return (
            "No se conoce la existencia de ningún producto con óptimo: "
            f"no se sugiere pedido de {products:,}, {amount}."
        )
    if products == 1:
        return (
            f"1 producto con óptimo y sin existencia conocida, {amount}, "
            "no entra en el pedido sugerido."
        )
    return (
        f"{products:,} productos con óptimo y sin existencia conocida, {amount}, "
        "no entran en el pedido sugerido."
    )


def _forecast_phrase(parameters: Parameters) -> pl.Expr:
    expected = pl.col("expected_demand")
    mean = expected.round(2)
    verb = pl.when(mean == 1).then(pl.lit("se espera")).otherwise(pl.lit("se esperan"))
    noun = pl.when(mean == 1).then(pl.lit("pieza")).otherwise(pl.lit("piezas"))
    amount = (
        pl.when((mean == 0) & (expected > 0))
        .then(pl.lit("menos de 0.01"))
        .otherwise(mean.cast(pl.String).str.strip_suffix(".0"))
    )
    days = pl.lit(f"{parameters.cover_days:g}")
    enough = pl.format("9 de cada 10 veces bastan {}", pl.col("demand_p90"))
    return pl.format("{} {} {} en {} días y {}", verb, amount, noun, days, enough)


def _fill_rate_phrase() -> pl.Expr:
    share = (100 * pl.col("fill_rate")).round(0).cast(pl.Int64)
    return pl.when(pl.col("optimum") > 0).then(
        pl.format("con {} se sirve el {}%", pl.col("optimum"), share)
    )


def _limit_phrase(parameters: Parameters) -> pl.Expr:
    """Return what kept the quantity from being smaller or larger."""
    minimum = pl.col("minimum_units")
    service = f"{100 * (parameters.minimum_service or 0):.4g}%"
    phrases = {
        Rule.SERVICE: pl.format("el servicio mínimo de {} pide {}", pl.lit(service), minimum),
        Rule.SHORT_OF_MONEY: pl.format(
            "el dinero no alcanza para el servicio mínimo de {}, que pide {}",
            pl.lit(service),
            minimum,
        ),
        Rule.VITAL: pl.format("es vital y no baja de {}", minimum),
        Rule.MINIMUM: _minimum_phrase(),
        Rule.MAXIMUM: _maximum_phrase(),
        Rule.RARE_DEMAND: pl.format("{} casi nunca se vendería", _another()),
        Rule.BUDGET: _money_phrase(),
    }
    return pl.coalesce(
        pl.when(pl.col("rule") == rule.value).then(phrase) for rule, phrase in phrases.items()
    )


def _pack() -> pl.Expr:
    return pl.col("inner_pack").fill_null(1)


def _another() -> pl.Expr:
    """Return what would be bought next, of which the first piece counts."""
    one = pl.when(pl.col("optimum") == 0).then(pl.lit("la primera")).otherwise(pl.lit("una más"))
    pack = pl.format(
        "la primera pieza de {} sub empaque de {}",
        pl.when(pl.col("optimum") == 0).then(pl.lit("un")).otherwise(pl.lit("otro")),
        _pack(),
    )
    return pl.when(_pack() > 1).then(pack).otherwise(one)


def _minimum_phrase() -> pl.Expr:
    """Return the catalogue's minimum, and what packs or the maximum make of it."""
    given, held = pl.col("minimum").fill_null(0), pl.col("minimum_units")
    packed = pl.format("su mínimo es {}, que en sub empaques de {} son {}", given, _pack(), held)
    limited = pl.format("su mínimo es {} y su máximo o su caducidad lo limita a {}", given, held)
    whole = pl.format("su mínimo es {}", given)
    return pl.when(held > given).then(packed).when(held < given).then(limited).otherwise(whole)


def _maximum_phrase() -> pl.Expr:
    packs = pl.when(_pack() > 1).then(pl.format(", en sub empaques de {}", _pack()))
    return pl.format(
        "no conviene tener más de {}: por su máximo o su caducidad{}",
        pl.col("maximum_units"),
        packs.otherwise(pl.lit("")),
    )


def _money_phrase() -> pl.Expr:
    """Return the chance of selling another, and why no money goes to it."""
    chance = (100 * pl.col("next_chance")).round(0).cast(pl.Int64)
    margin = pl.col("margin")
    worthless = (margin == 0) & (margin.max().over("mostrador") > 0)
    return pl.format(
        "{} se vendería el {}% de las veces, y {}",
        _another(),
        chance,
        pl.when(worthless)
        .then(pl.lit("no deja margen"))
        .otherwise(pl.lit("ese dinero rinde más en otros o no alcanza")),
    )


def _silence_phrase() -> pl.Expr:
    weeks = pl.col("silent_weeks").cast(pl.Int64)
    return pl.when(weeks >= SILENCE_MENTION_WEEKS).then(
        pl.format("lleva {} semanas sin venta", weeks)
    )


def _origin_phrase(parameters: Parameters) -> pl.Expr:
    area = pl.col("weighted_traditional").fill_null(0) != 0
    own = pl.col("factor_f").fill_null(0) != 0
    source = (
        pl.when(area & own)
        .then(pl.lit(" por el área y la venta propia"))
        .when(own)
        .then(pl.lit(" por la venta propia"))
        .when(area)
        .then(pl.lit(" por el área"))
        .otherwise(pl.lit(""))
    )
    single = pl.col("expected_demand") == 1
    verb = pl.when(single).then(pl.lit("se espera")).otherwise(pl.lit("se esperan"))
    noun = pl.when(single).then(pl.lit("pieza")).otherwise(pl.lit("piezas"))
    days = pl.lit(f"{parameters.cover_days:g}")
    return pl.format(
        "{} {} {} en {} días{}", verb, _decimal_text("expected_demand"), noun, days, source
    )


def _rounding_phrase() -> pl.Expr:
    return pl.format(
        "el factor {} lo redondea a {}", _decimal_text("rounding_factor"), pl.col("rounded")
    )


def _rescue_phrase() -> pl.Expr:
    by_area = pl.col("rescued") > 0
    return (
        pl.when(pl.col("rescue_applied") & by_area & _is_rounded_up("factor_9"))
        .then(
            pl.format(
                "el rescate toma la demanda del área ({}) y da {}",
                _decimal_text("factor_9"),
                pl.col("rescued"),
            )
        )
        .when(pl.col("rescue_applied") & by_area)
        .then(
            pl.format(
                "el rescate toma la venta propia ({}) y da {}",
                _decimal_text("factor_d"),
                pl.col("rescued"),
            )
        )
        .when(pl.col("rule_p_applied") & (pl.col("rule_p") > 0))
        .then(
            pl.format("sin demanda en el área, la venta del año da {} (Óptimo P)", pl.col("rule_p"))
        )
        .when(pl.col("rule_q_applied"))
        .then(
            pl.format(
                "se vendieron {} piezas en 90 días y queda 1 (Óptimo Q)",
                _decimal_text("sales_90d"),
            )
        )
    )


def _is_rounded_up(name: str) -> pl.Expr:
    value = pl.col(name).fill_null(0)
    return (value >= 1) | (value >= pl.col("rounding_factor"))


def _pack_phrase() -> pl.Expr:
    return pl.when(pl.col("pack_applied")).then(
        pl.format("en sub empaques de {} son {}", pl.col("inner_pack"), pl.col("packed"))
    )


def _bump_phrase() -> pl.Expr:
    return pl.when(pl.col("bump_applied")).then(pl.lit("la joroba lo eleva de 1 a 2"))


def _budget_phrase() -> pl.Expr:
    change = pl.col("budget_change")
    return (
        pl.when(change > 0)
        .then(pl.format("el ajuste al presupuesto suma {}", change))
        .when(change < 0)
        .then(pl.format("el ajuste al presupuesto quita {}", -change))
    )


def _decimal_text(name: str) -> pl.Expr:
    """Format with at most three decimals, as many as the model keeps, without trailing zeros."""
    return pl.col(name).round(3).cast(pl.String).str.strip_suffix(".0")


def _money_text(amount: pl.Expr) -> pl.Expr:
    """Format pesos as people in Mexico read them: 1,234.50."""
    # The digits of the number itself: a price of 3,500.004 is not 3,500.00.
    text = amount.cast(pl.String).str.split(".")
    grouped = (
        text.list.get(0)
        .str.reverse()
        .str.replace_all(r"(\d{3})", "$1,")
        .str.reverse()
        .str.strip_prefix(",")
    )
    return pl.concat_str(grouped, pl.lit("."), text.list.get(1).str.pad_end(2, "0"))


def _lowercase_first(sentence: pl.Expr) -> pl.Expr:
    return pl.concat_str(sentence.str.slice(0, 1).str.to_lowercase(), sentence.str.slice(1))
