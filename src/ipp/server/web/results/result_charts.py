"""Charts of a mostrador and of a product, with what they say in words."""

from __future__ import annotations

from collections.abc import Sequence

from ipp.jobs.job import Job
from ipp.jobs.stage_files import investment_by_factor
from ipp.server.api.dependencies import Services
from ipp.server.web import formatting, svg_chart
from ipp.server.web.results import result_source
from ipp.server.web.results.result_source import InvestmentBreakdown
from ipp.server.web.svg_chart import Chart, render_chart
from ipp.server.web.translations import Translations
from ipp.storage.warehouse.warehouse import TableRow


def counter_charts(
    services: Services,
    job: Job,
    figures: TableRow,
    curve: Sequence[TableRow],
    spent: InvestmentBreakdown,
    say: Translations,
) -> Sequence[Chart]:
    """Return the charts of a mostrador that there is something for.

    ``figures`` is its line of the job's summary, ``curve`` the points of its `served_points`.
    """
    by_factor = _chart_by_factor(services, job, figures, say)
    by_investment = [_chart_by_investment(figures, curve, say)] if curve else []
    return [*by_factor, *by_investment, *(_charts_of_spending(spent, say) if spent.total else [])]


def describe_history(job: Job, row: TableRow, say: Translations) -> str:
    """Return what a product's `history_chart` shows, in words."""
    description = say("res_g_historia_que")
    band = _forecast_band(row)
    if band is not None:
        p50, p90 = map(formatting.whole, band)
        days = formatting.exact(job.parameters.cover_days)
        description += " " + say("res_g_historia_banda", p50=p50, p90=p90, days=days)
    return description


def history_chart(services: Services, job: Job, row: TableRow, say: Translations) -> Chart:
    """Return a product's weekly sales up to the job's cutoff, and its forecast."""
    number, material = row["mostrador"], row["material"]
    sold = result_source.weekly_sales(services.warehouse, number, material, job.cutoff)
    days = job.parameters.cover_days
    draw = svg_chart.draw_history(sold, _forecast_band(row), job.cutoff, days, say)
    name = say("res_g_historia_de", name=row["description"] or material)
    return render_chart(say("res_g_historia"), describe_history(job, row, say), draw, name)


def _forecast_band(row: TableRow) -> tuple[int, int] | None:
    """Return the p50 and p90 of a product's demand, if it has a forecast."""
    low, high = row["demand_p50"], row["demand_p90"]
    return None if low is None or high is None else (low, high)


def _chart_by_factor(
    services: Services, job: Job, figures: TableRow, say: Translations
) -> list[Chart]:
    """Return the investment by rounding factor.

    There is none if the mostrador has no factor or the stages' files are gone.
    """
    chosen, target = figures["rounding_factor"], figures["target_investment"]
    if chosen is None:
        return []
    number = figures["mostrador"]
    points = investment_by_factor(services.files, job.job_id, number, job.parameters)
    if not points:
        return []
    description = say(
        "res_g_factor_que", factor=formatting.decimal(chosen), target=formatting.money(target)
    )
    draw = svg_chart.draw_by_factor(points, chosen, target, say)
    return [render_chart(say("res_g_factor"), description, draw)]


def _chart_by_investment(figures: TableRow, curve: Sequence[TableRow], say: Translations) -> Chart:
    """Return the fill rate by investment, with what was published marked."""
    chosen = next((point for point in curve if point["chosen"]), None)
    investment, rate = (
        (chosen["investment"], chosen["fill_rate"])
        if chosen
        else (figures["investment"], figures["expected_fill_rate"])
    )
    description = say(
        "res_g_servicio_que",
        investment=formatting.money(investment),
        rate=formatting.percent(rate),
    )
    return render_chart(
        say("res_g_servicio"), description, svg_chart.draw_by_investment(curve, say)
    )


def _charts_of_spending(spent: InvestmentBreakdown, say: Translations) -> list[Chart]:
    """Return the investment by category, and the Pareto curve of its products."""
    first = spent.categories[0]
    largest = say(
        "res_g_categorias_que",
        category=first["category"] or say("res_sin_categoria"),
        investment=formatting.money(first["investment"]),
        share=formatting.share(first["investment"], spent.total),
    )
    few = say(
        "res_g_pareto_que",
        few=formatting.whole(spent.few),
        all=formatting.whole(len(spent.values)),
    )
    return [
        render_chart(say("res_g_categorias"), largest, svg_chart.draw_by_category(spent, say)),
        render_chart(say("res_g_pareto"), few, svg_chart.draw_pareto(spent, say)),
    ]
