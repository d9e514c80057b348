"""The results of a job on the terminal: counters, products, failures and notices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ipp import console
from ipp.core.decision import explain
from ipp.core.money import add_pesos
from ipp.core.tables import RESULTS
from ipp.entrypoints.local_wiring import Application
from ipp.errors import NotFoundError
from ipp.jobs.job import Job
from ipp.jobs.job_service import spec_of_job
from ipp.storage.warehouse.warehouse import RowQuery, TableRow

_CENT_TOLERANCE = 0.005
"""Half a cent: a smaller excess over a target is rounding."""

_SPENT_SHARE_THRESHOLD = 0.98
"""If less than this share of a target is spent, a line says why."""

_CURVE_SHARES = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
"""The investments whose service is shown, as shares of the published one."""

_MIN_SHOWN_GAP = 1e-6
"""Minimum optimality gap that is shown: smaller ones are shown as this."""

_MAX_NAMED_FAILURES = 10
"""Maximum number of mostradores named one by one in a message."""

_MAX_SHOWN_PRODUCTS = 15
"""Number of products shown on the terminal, those with the largest investment first."""


def print_job_summary(job: Job, app: Application, mostrador: int | None = None) -> None:
    """Print the summary of a job's results, or of one mostrador's, and where its files are."""
    summary = summarise_job(app, job, mostrador)
    failures = app.warehouse.failed_counters(job.job_id)
    lines = [
        [
            str(row["mostrador"]),
            console.format_count(row["products_with_stock"]),
            console.format_count(row["units"]),
            console.format_money(row["investment"]),
            console.format_money(row["target_investment"]),
            "IPP" if row["rounding_factor"] is None else f"{row['rounding_factor']:.2f}",
            "—" if row["expected_fill_rate"] is None else f"{row['expected_fill_rate']:.1%}",
        ]
        for row in summary.iter_rows(named=True)
    ]
    headings = ["Mostrador", "Surtidos", "Piezas", "Inversión", "Objetivo", "Factor", "Servicio"]
    console.print_table(
        f"{job.job_id} · {console.format_count(int(summary['products'][0]))} productos · MXN · "
        f"venta hasta {job.cutoff}",
        headings,
        lines + [_total_line(summary)] * (len(lines) > 1),
    )
    _print_unmet_targets(summary)
    _say_what_is_not_ordered(job, summary)
    _say_notices(job, app.warehouse.notices(job.job_id))
    _print_failures(job, failures)
    places = job_locations(job, app)
    console.print_line(
        f"Resultados  {places['results']}\n"
        f"Normalizado {places['raw']}\n"
        f"Procesado   {places['processed']}\n"
        f"Detalle     ipp results {job.job_id} --mostrador {job.mostradores[0]} "
        "--salida detalle.xlsx"
    )


def summarise_job(app: Application, job: Job, mostrador: int | None) -> pl.DataFrame:
    """Return the summary of each mostrador with published rows. Raises `NotFoundError` if none."""
    summary = app.warehouse.job_summary(job.job_id, mostrador)
    if not summary:
        raise NotFoundError(
            f"{job.job_id} no tiene resultados del mostrador {mostrador}."
            if mostrador
            else f"{job.job_id} no tiene resultados.",
            hint=f"Calcule los que fallaron con `ipp run --reintentar {job.job_id}`.",
        )
    return pl.DataFrame(list(summary), infer_schema_length=None)


def _print_unmet_targets(summary: pl.DataFrame) -> None:
    """Print a line for each mostrador whose target is exceeded or cannot be spent."""
    for row in summary.iter_rows(named=True):
        if row["investment"] > row["target_investment"] + _CENT_TOLERANCE:
            console.print_line(
                f"{row['mostrador']}: lo que no se puede quitar ya cuesta "
                f"{console.format_money(row['investment'])}; "
                f"no se puede bajar a {console.format_money(row['target_investment'])}."
            )
        elif row["investment"] < row["target_investment"] * _SPENT_SHARE_THRESHOLD:
            console.print_line(
                f"{row['mostrador']}: no hay más demanda en que gastar "
                f"los {console.format_money(row['target_investment'])}."
            )


def _say_what_is_not_ordered(job: Job, summary: pl.DataFrame) -> None:
    """Print a line per mostrador with products of unknown stock, by value, and a total."""
    count, value = "products_with_unknown_stock", "value_with_unknown_stock"
    incomplete = summary.filter(pl.col(count) > 0).sort(
        value, "mostrador", descending=[True, False]
    )
    if incomplete.is_empty():
        return
    for row in incomplete.head(_MAX_NAMED_FAILURES).iter_rows(named=True):
        sentence = explain.unknown_stock(row[count], row[value], row["products_with_stock"])
        console.print_line(f"{row['mostrador']}: {sentence[:1].lower()}{sentence[1:]}")
    _say_more(job, len(incomplete) - _MAX_NAMED_FAILURES)
    if len(summary) > 1:
        counts = summary.select(pl.col(count, "products_with_stock").sum()).row(0)
        sentence = explain.unknown_stock(counts[0], add_pesos(summary[value]), counts[1])
        console.print_line(f"Total: {sentence[:1].lower()}{sentence[1:]}")
    console.print_line(
        "Para que entren importe sus existencias, también las que están en cero: "
        "`ipp import existencias ARCHIVO`; y calcule otra vez."
    )


def _say_notices(job: Job, notices: Sequence[TableRow]) -> None:
    """Print a line for each mostrador with anomalous data."""
    for notice in notices[:_MAX_NAMED_FAILURES]:
        console.print_line(f"Aviso: {notice['notice']}")
    _say_more(job, len(notices) - _MAX_NAMED_FAILURES)


def _say_more(job: Job, count: int) -> None:
    """Print that there are ``count`` more than were named, if any."""
    if count > 0:
        console.print_line(
            f"y {console.format_count(count)} más: "
            f"`ipp results {job.job_id} --json` los nombra todos."
        )


def _print_failures(job: Job, failures: Sequence[TableRow]) -> None:
    """Print a line for each mostrador that failed, with its cause, and what to do."""
    for failure in failures[:_MAX_NAMED_FAILURES]:
        console.print_line(
            f"{failure['mostrador']}: falló en la etapa {failure['stage']}: {failure['cause']}"
        )
    _say_more(job, len(failures) - _MAX_NAMED_FAILURES)
    if failures:
        failed = console.format_count(len(failures))
        total = console.format_count(len(job.mostradores))
        console.print_line(
            f"Fallaron {failed} de {total} mostradores. "
            f"Corrija la causa y calcule sólo esos: ipp run --reintentar {job.job_id}"
        )


def _total_line(summary: pl.DataFrame) -> list[str]:
    sums = summary.select(pl.col("products_with_stock", "units").sum())
    amounts = [
        console.format_money(add_pesos(summary[name].drop_nulls()))
        for name in ("investment", "target_investment")
    ]
    return ["Total", *(console.format_count(n) for n in sums.row(0)), *amounts, "", ""]


def print_top_products(app: Application, job: Job, mostrador: int) -> None:
    """Print the products of a mostrador with the largest investment, and why."""
    top = app.warehouse.query_rows(
        RowQuery(job.job_id, mostrador, "", "optimum_value", True, 0, _MAX_SHOWN_PRODUCTS)
    ).rows
    lines = [
        [str(row["material"]), row["description"] or "", console.format_count(row["optimum"]),
         console.format_money(row["optimum_value"]), row["reason"]]
        for row in top
    ]  # fmt: skip
    console.print_table(
        f"Los {len(lines)} productos con más inversión",
        ["Material", "Descripción", "Óptimo", "Importe MXN", "Motivo"],
        lines,
        texts={"Descripción", "Motivo"},
    )


def print_curve(app: Application, job: Job, mostrador: int) -> None:
    """Print the service of other investments, for a mostrador of the predictive model."""
    curve = pl.DataFrame(list(app.warehouse.investment_curve(job.job_id, mostrador)))
    if curve.is_empty() or curve["fill_rate"].null_count():
        return
    (chosen,) = curve.filter("chosen").iter_rows(named=True)
    rows = []
    for part in _CURVE_SHARES:
        money = chosen["investment"] * part
        rate = float(
            np.interp(money, curve["investment"].to_numpy(), curve["fill_rate"].to_numpy())
        )
        rows.append(
            [console.format_money(money), f"{rate:.1%}", "← lo publicado" if part == 1 else ""]
        )
    console.print_table("Servicio por inversión", ["Inversión", "Servicio", ""], rows, texts=("",))
    gap = max(chosen["gap"], _MIN_SHOWN_GAP)
    console.print_line(f"Ningún otro reparto de ese dinero serviría más de un {gap:.4%} más.")


def job_locations(job: Job, app: Application) -> dict[str, str]:
    """Return where the results and the files of a job are."""
    files, spec = app.runner.files, spec_of_job(job)
    return {
        "results_table": RESULTS.full_name(app.warehouse.catalog),
        "results": app.results_address,
        "raw": files.address(spec.raw_key("")),
        "processed": files.address(spec.processed_key("")),
    }
