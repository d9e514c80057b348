"""``ipp backtest``: the cost that a policy would have had on historical demand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, number_option, parse_day
from ipp.core.replay.frontier import (
    FrontierPoint,
    interpolate_fill_rate,
    interpolate_stock,
    trace_frontier,
)
from ipp.core.replay.policy import PolicyKind, build_policy
from ipp.core.replay.simulate import (
    OrderTerms,
    PeriodOutcome,
    ReplayScore,
    StockPosition,
    replay_policy,
    score_outcomes,
)
from ipp.errors import InvalidInputError
from ipp.formats.chart.frontier_chart import render_frontier
from ipp.formats.spreadsheet import write_table
from ipp.pipeline.backtest import (
    DemandHistory,
    PeriodLength,
    estimate_initial_stock,
    list_orders,
    read_demand_history,
    read_stock_file,
)
from ipp.settings import Settings
from ipp.storage.files.atomic_file import replace_file
from ipp.storage.files.scratch import Scratch

_DEFAULT_TERMS = OrderTerms()
_MAX_TERM_PERIODS = 52
"""Maximum review interval or lead time, in periods."""


@dataclass(frozen=True)
class _BacktestOptions:
    """The options of ``ipp backtest``."""

    demanda: Annotated[
        Path, Parameter(help="Archivo largo: columnas que nombran la serie, fecha, piezas.")
    ]
    review: Annotated[int, Parameter(help="Periodos entre dos decisiones.")] = _DEFAULT_TERMS.review
    plazo: Annotated[int, Parameter(help="Periodos que tarda un pedido.")] = _DEFAULT_TERMS.lead
    costo_mantener: Annotated[
        float, number_option("Por pieza que queda al final de un periodo.")
    ] = _DEFAULT_TERMS.holding
    costo_faltante: Annotated[float, number_option("Por pieza pedida que no había.")] = (
        _DEFAULT_TERMS.shortage
    )
    periodo: Annotated[
        PeriodLength | None, Parameter(help="Duración de un periodo; si falta, la del archivo.")
    ] = None
    inicio: Annotated[
        str | None, Parameter(help="Desde qué día se decide, aaaa-mm-dd; el último cuarto.")
    ] = None
    inventario: Annotated[
        Path | None, Parameter(help="existencia y en_transito_1 … de cada serie al empezar.")
    ] = None
    politica: Annotated[PolicyKind, Parameter(help="Quién decide.")] = PolicyKind.IPP
    pedidos: Annotated[
        Path | None, Parameter(help="Guarda cada pedido en csv, xlsx o Parquet.")
    ] = None
    pronostico_solo: Annotated[
        bool, Parameter(negative="", help="Sólo el pedido que sigue al archivo.")
    ] = False
    frontera: Annotated[
        Path | None, Parameter(help="Dibuja servicio contra piezas de varias políticas, SVG.")
    ] = None
    as_json: AsJson = False

    def order_terms(self) -> OrderTerms:
        """Return the terms of an order. Raises `InvalidInputError`."""
        for name, periods, minimum in (("--review", self.review, 1), ("--plazo", self.plazo, 0)):
            if not minimum <= periods <= _MAX_TERM_PERIODS:
                raise InvalidInputError(
                    f"{name} {periods} no es un valor posible.",
                    hint=f"De {minimum} a {_MAX_TERM_PERIODS} periodos.",
                )
        costs = {"--costo-mantener": self.costo_mantener, "--costo-faltante": self.costo_faltante}
        for name, cost in costs.items():
            if not 0 < cost <= 1e9:
                raise InvalidInputError(
                    f"{name} {cost:g} no es un valor posible.", hint="Debe ser mayor que 0."
                )
        return OrderTerms(self.review, self.plazo, self.costo_mantener, self.costo_faltante)


def backtest(*, options: Annotated[_BacktestOptions, Parameter(name="*")]) -> int:
    """Repite la historia: qué habría pedido, mantenido y perdido una política."""
    terms = options.order_terms()
    scratch = Scratch(Settings.from_environment().scratch)
    history = read_demand_history(options.demanda, scratch, options.periodo)
    if options.pronostico_solo:
        return _print_next_order(history, scratch, terms, options)
    start = _start_period(history, options.inicio)
    stock, from_period = _initial_stock(history, scratch, terms, start, options.inventario)
    if options.frontera is not None:
        points = trace_frontier(
            history.panel, terms, stock, from_period, start, days=history.period.days
        )
        return _draw_frontier(history, points, options.frontera, as_json=options.as_json)
    started = time.perf_counter()
    decider = build_policy(options.politica, terms, days=history.period.days)
    outcomes = [
        outcome
        for outcome in replay_policy(history.panel, decider, terms, stock, from_period)
        if outcome.period >= start
    ]
    seconds = time.perf_counter() - started
    if options.pedidos is not None:
        ordered = [list_orders(history, outcome.period, outcome.ordered) for outcome in outcomes]
        _save_orders(options.pedidos, pl.concat(ordered), scratch)
    total = score_outcomes(outcomes, terms)
    if options.as_json:
        document = _result_document(history, terms, options.politica, outcomes, total)
        console.print_json(document | {"seconds": round(seconds, 3)})
    else:
        _print_result(history, terms, options.politica, outcomes, total)
    return 0


def _start_period(history: DemandHistory, text: str | None) -> int:
    first = parse_day("--inicio", text)
    start = (
        history.panel.periods - max(1, history.panel.periods // 4)
        if first is None
        else history.period_of(first)
    )
    if start < 1:
        raise InvalidInputError(
            "Antes de --inicio no hay historia de la que aprender.",
            hint=f"Elija un día después de {history.starts[1]}.",
        )
    return start


def _initial_stock(
    history: DemandHistory, scratch: Scratch, terms: OrderTerms, start: int, file: Path | None
) -> tuple[StockPosition, int]:
    """Return a replay's initial stock and first period.

    Without a stock file the replay warms up for some periods before ``start``, the first to count.
    """
    if file is not None:
        return read_stock_file(file, scratch, history, terms.lead), start
    warm = max(1, start - 2 * terms.horizon)
    return estimate_initial_stock(history.panel, warm, terms.lead, terms.review), warm


def _print_next_order(
    history: DemandHistory, scratch: Scratch, terms: OrderTerms, options: _BacktestOptions
) -> int:
    panel = history.panel
    if options.inventario is None:
        stock = StockPosition.empty(len(panel), terms.lead)
    else:
        stock = read_stock_file(options.inventario, scratch, history, terms.lead)
    decider = build_policy(options.politica, terms, days=history.period.days)
    units = decider.order(panel, stock)
    rows = list_orders(history, panel.periods, units)
    if options.pedidos is not None:
        _save_orders(options.pedidos, rows, scratch)
    summary = {
        "policy": options.politica.value,
        "period": str(history.starts[-1]),
        "series": len(panel),
        "orders": int(units.sum()),
    }
    if options.as_json:
        console.print_json(summary | {"rows": rows.drop("fecha").to_dicts()})
    else:
        console.print_line(
            f"Pedido para {history.starts[-1]}: "
            f"{int(units.sum()):,} piezas de {len(rows):,} series."
        )
    return 0


def _result_document(
    history: DemandHistory,
    terms: OrderTerms,
    kind: PolicyKind,
    outcomes: Sequence[PeriodOutcome],
    total: ReplayScore,
) -> dict[str, object]:
    return {
        "policy": kind.value,
        "series": len(history.panel),
        "periods": [
            {
                "period": str(history.starts[outcome.period]),
                "cost": round(cost, 4),
                "holding_cost": round(terms.holding * float(outcome.left.sum()), 4),
                "shortage_cost": round(
                    terms.shortage * float((outcome.demand - outcome.served).sum()), 4
                ),
                "demand": float(outcome.demand.sum()),
                "served": float(outcome.served.sum()),
                "held": float(outcome.left.sum()),
                "ordered": int(outcome.ordered.sum()),
            }
            for outcome, cost in zip(outcomes, total.costs, strict=True)
        ],
        "cost_per_period": [round(cost, 4) for cost in total.costs],
        "cost": round(total.cost, 4),
        "fill_rate": round(total.fill_rate, 6),
        "mean_units_held": round(total.held, 4),
        "orders": total.ordered,
    }


def _print_result(
    history: DemandHistory,
    terms: OrderTerms,
    kind: PolicyKind,
    outcomes: Sequence[PeriodOutcome],
    total: ReplayScore,
) -> None:
    rows = [
        [
            str(history.starts[outcome.period]),
            console.format_money(cost),
            f"{outcome.demand.sum():,.0f}",
            f"{outcome.served.sum():,.0f}",
            f"{outcome.left.sum():,.0f}",
            console.format_count(int(outcome.ordered.sum())),
        ]
        for outcome, cost in zip(outcomes, total.costs, strict=True)
    ]
    title = (
        f"{kind.value} · {len(history.panel):,} series · "
        f"plazo {terms.lead}, revisión {terms.review}"
    )
    console.print_table(
        title,
        ["Periodo", "Costo", "Demanda", "Servida", "Quedan", "Pedido"],
        rows,
        texts=("Periodo",),
    )
    console.print_line(
        f"Costo {total.cost:,.2f} · servicio {total.fill_rate:.1%} · "
        f"piezas en promedio {total.held:,.1f} · pedidas {total.ordered:,}"
    )


def _draw_frontier(
    history: DemandHistory, points: Sequence[FrontierPoint], out: Path, *, as_json: bool
) -> int:
    with replace_file(out) as path:
        path.write_text(render_frontier(points), encoding="utf-8")
    if as_json:
        console.print_json(
            [
                {
                    "policy": p.kind.value,
                    "setting": p.setting,
                    "fill_rate": p.fill_rate,
                    "mean_units_held": p.held,
                }
                for p in points
            ]
        )
        return 0
    rows = [
        [p.kind.value, f"{p.setting:g}", f"{p.fill_rate:.2%}", f"{p.held:,.0f}"] for p in points
    ]
    console.print_table(
        f"{len(history.panel):,} series · servicio contra piezas",
        ["Política", "Ajuste", "Servicio", "Piezas"],
        rows,
        texts=("Política",),
    )
    _print_savings(points)
    console.print_line(f"Guardado en {out.absolute()}")
    return 0


def _print_savings(points: Sequence[FrontierPoint]) -> None:
    """Print what the predictive model saves over the traditional one with 21 days of cover."""
    ours = [point for point in points if point.kind is PolicyKind.IPP]
    usual = next(point for point in points if point.kind is PolicyKind.SPP and point.setting == 21)
    saved = 1 - interpolate_stock(ours, usual.fill_rate) / usual.held if usual.held else 0.0
    more = interpolate_fill_rate(ours, usual.held) - usual.fill_rate
    console.print_line(
        f"Con el servicio del modelo tradicional a 21 días ({usual.fill_rate:.1%}), "
        f"el predictivo tiene {saved:.1%} menos piezas; "
        f"con sus piezas ({usual.held:,.0f}), sirve {100 * more:.1f} puntos más."
    )


def _save_orders(path: Path, rows: pl.DataFrame, scratch: Scratch) -> None:
    write_table(path, rows, {name: name for name in rows.columns}, scratch)
