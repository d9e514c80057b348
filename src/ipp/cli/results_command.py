"""``ipp results``: the results of a job, on the terminal or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson
from ipp.cli.stage_export import StageOutput, save_stage_output
from ipp.core.decision import explain
from ipp.core.decision.publication import summarise_counters
from ipp.core.tables import CURVES, RESULTS
from ipp.entrypoints.application import open_application
from ipp.entrypoints.local_wiring import Application
from ipp.errors import InvalidInputError, NotFoundError
from ipp.formats.exports.table_export import WORKBOOK_TABLE, annotate_orders
from ipp.formats.spreadsheet import write_table
from ipp.jobs.counter_ids import parse_counter_ids
from ipp.jobs.job_spec import JobSpec, load_spec, saved_specs
from ipp.storage.warehouse.warehouse import TIE_BREAK_COLUMNS, TableRow

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


def results(
    job: Annotated[
        str | None, Parameter(help="El job_id que dijo `ipp run`; sin él, se enumeran todos.")
    ] = None,
    /,
    *,
    mostrador: Annotated[
        str | None, Parameter(help="Sólo este mostrador, con sus productos.")
    ] = None,
    salida: Annotated[
        Path | None, Parameter(help="Guarda los renglones en un archivo xlsx, csv o parquet.")
    ] = None,
    etapa: Annotated[
        StageOutput, Parameter(help="Qué renglones se guardan: los publicados o los de una etapa.")
    ] = ("publicacion"),
    as_json: AsJson = False,
) -> int:
    """Muestra o guarda los resultados de un proceso."""
    app = open_application()
    if job is None:
        if mostrador is not None or salida is not None:
            raise InvalidInputError(
                "Falta el job_id.", hint="`ipp results` sin argumentos los enumera."
            )
        _list_jobs(app, as_json=as_json)
        return 0
    spec = load_spec(job, app.runner.files)
    number = None if mostrador is None else _requested_counter(mostrador, spec)
    if etapa != "publicacion":
        if salida is None:
            raise InvalidInputError("--etapa guarda un archivo.", hint="Diga cuál con --salida.")
        save_stage_output(app, spec, etapa, number, salida)
        console.print_line(f"Guardado en {salida.absolute()}")
        return 0
    rows = published_rows(app, spec)
    if number is not None:
        rows = rows.filter(pl.col("mostrador") == number)
    rows = rows.sort(TIE_BREAK_COLUMNS)
    if salida is not None:
        _save(rows.collect(), salida, app)
    if as_json:
        console.print_json(_job_document(spec, app, rows, with_rows=number is not None))
    else:
        print_job_summary(spec, app, rows=rows)
        if number is not None:
            _print_top_products(rows)
            _print_curve(app, spec, number)
    if salida is not None and not as_json:
        console.print_line(f"Guardado en {salida.absolute()}")
    return 0


def _save(rows: pl.DataFrame, path: Path, app: Application) -> None:
    """Write the rows to a file. Raises as `write_table` does.

    A workbook also says which products an order leaves out.
    """
    if path.suffix.lower() == ".xlsx":
        write_table(
            path,
            annotate_orders(rows),
            WORKBOOK_TABLE.labels,
            app.runner.scratch,
            WORKBOOK_TABLE.formats,
        )
    else:
        write_table(path, rows, RESULTS.labels, app.runner.scratch, RESULTS.formats)


def _requested_counter(mostrador: str, spec: JobSpec) -> int:
    (number,) = parse_counter_ids([mostrador])
    if number not in spec.mostradores:
        raise NotFoundError(
            f"El mostrador {number} no está en {spec.job_id}.",
            hint=f"Están: {_counter_list(spec)}.",
        )
    return number


def _print_curve(app: Application, spec: JobSpec, mostrador: int) -> None:
    """Print the service of other investments, for a mostrador of the predictive model."""
    points = app.runner.lakehouse.scan_table(CURVES, [spec.job_id]).filter(
        pl.col("mostrador") == mostrador
    )
    curve = points.sort("investment").collect()
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


def _list_jobs(app: Application, *, as_json: bool) -> None:
    """Print every job, newest first, and whether it has published."""
    specs = sorted(
        saved_specs(app.runner.files), key=lambda spec: (spec.created_at, spec.job_id), reverse=True
    )
    done = set(
        app.runner.lakehouse.scan_table(RESULTS)
        .select(pl.col("job_id").unique())
        .collect()["job_id"]
    )
    if as_json:
        jobs = [
            {
                "job_id": spec.job_id,
                "created_at": spec.created_at.isoformat(),
                "mostradores_count": len(spec.mostradores),
                "completed": spec.job_id in done,
            }
            for spec in specs
        ]
        console.print_json(jobs)
        return
    if not specs:
        console.print_line("Todavía no hay procesos: empiece uno con `ipp run`.")
        return
    rows = [
        [
            spec.job_id,
            f"{spec.created_at.astimezone():%Y-%m-%d %H:%M}",
            console.format_count(len(spec.mostradores)),
            "completado" if spec.job_id in done else "sin terminar",
        ]
        for spec in specs
    ]
    console.print_table(
        "Procesos",
        ["Proceso", "Creado", "Mostradores", "Estado"],
        rows,
        texts={"Proceso", "Estado"},
    )


def published_rows(app: Application, spec: JobSpec) -> pl.LazyFrame:
    """Return the job's rows of ``ipp_resultados_finales``, in any order.

    Raises `NotFoundError` if the job has not published yet.
    """
    rows = app.runner.lakehouse.scan_table(RESULTS, [spec.job_id])
    if rows.select(pl.len()).collect().item() == 0:
        raise NotFoundError(
            f"Proceso no completado: {spec.job_id}.",
            hint=f"Termínelo con `ipp run --reanudar {spec.job_id}`.",
        )
    return rows


def print_job_summary(
    spec: JobSpec, app: Application, *, rows: pl.LazyFrame | None = None, as_json: bool = False
) -> None:
    """Print the summary of a job's results and where its files are."""
    rows = published_rows(app, spec) if rows is None else rows
    if as_json:
        console.print_json(_job_document(spec, app, rows, with_rows=False))
        return
    summary, failures = (
        summarise_counters(rows).collect(),
        app.warehouse.failed_counters(spec.job_id),
    )
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
        f"{spec.job_id} · {console.format_count(int(summary['products'][0]))} productos · MXN · "
        f"venta hasta {spec.cutoff}",
        headings,
        lines + [_total_line(summary)] * (len(lines) > 1),
    )
    _print_unmet_targets(summary)
    _say_what_is_not_ordered(spec, summary)
    _say_notices(spec, app.warehouse.notices(spec.job_id))
    _print_failures(spec, failures)
    places = _job_locations(spec, app)
    console.print_line(
        f"Resultados  {places['results']}\n"
        f"Normalizado {places['raw']}\n"
        f"Procesado   {places['processed']}\n"
        f"Detalle     ipp results {spec.job_id} --mostrador {spec.mostradores[0]} "
        "--salida detalle.xlsx"
    )


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


def _say_what_is_not_ordered(spec: JobSpec, summary: pl.DataFrame) -> None:
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
    _say_more(spec, len(incomplete) - _MAX_NAMED_FAILURES)
    if len(summary) > 1:
        sentence = explain.unknown_stock(
            *summary.select(pl.col(count, value, "products_with_stock").sum()).row(0)
        )
        console.print_line(f"Total: {sentence[:1].lower()}{sentence[1:]}")
    console.print_line(
        "Para que entren importe sus existencias, también las que están en cero: "
        "`ipp import existencias ARCHIVO`; y calcule otra vez."
    )


def _say_notices(spec: JobSpec, notices: Sequence[TableRow]) -> None:
    """Print a line for each mostrador with anomalous data."""
    for notice in notices[:_MAX_NAMED_FAILURES]:
        console.print_line(f"Aviso: {notice['notice']}")
    _say_more(spec, len(notices) - _MAX_NAMED_FAILURES)


def _say_more(spec: JobSpec, count: int) -> None:
    """Print that there are ``count`` more than were named, if any."""
    if count > 0:
        console.print_line(
            f"y {console.format_count(count)} más: "
            f"`ipp results {spec.job_id} --json` los nombra todos."
        )


def _print_failures(spec: JobSpec, failures: Sequence[TableRow]) -> None:
    """Print a line for each mostrador that failed, with its cause, and what to do."""
    for failure in failures[:_MAX_NAMED_FAILURES]:
        console.print_line(
            f"{failure['mostrador']}: falló en la etapa {failure['stage']}: {failure['cause']}"
        )
    _say_more(spec, len(failures) - _MAX_NAMED_FAILURES)
    if failures:
        failed = console.format_count(len(failures))
        total = console.format_count(len(spec.mostradores))
        console.print_line(
            f"Fallaron {failed} de {total} mostradores. "
            f"Corrija la causa y calcule sólo esos: ipp run --reintentar {spec.job_id}"
        )


def _total_line(summary: pl.DataFrame) -> list[str]:
    sums = summary.select(pl.col("products_with_stock", "units").sum())
    money = [
        console.format_money(round(float(summary[name].sum()), 2))
        for name in ("investment", "target_investment")
    ]
    return ["Total", *(console.format_count(n) for n in sums.row(0)), *money, "", ""]


def _print_top_products(rows: pl.LazyFrame) -> None:
    top = (
        rows.sort("optimum_value", "material", descending=[True, False])
        .head(_MAX_SHOWN_PRODUCTS)
        .collect()
    )
    lines = [
        [str(row["material"]), row["description"] or "", console.format_count(row["optimum"]),
         console.format_money(row["optimum_value"]), row["reason"]]
        for row in top.iter_rows(named=True)
    ]  # fmt: skip
    console.print_table(
        f"Los {len(lines)} productos con más inversión",
        ["Material", "Descripción", "Óptimo", "Importe MXN", "Motivo"],
        lines,
        texts={"Descripción", "Motivo"},
    )


def _job_document(
    spec: JobSpec, app: Application, rows: pl.LazyFrame, *, with_rows: bool
) -> dict[str, object]:
    failures = app.warehouse.failed_counters(spec.job_id)
    document: dict[str, object] = {
        "job_id": spec.job_id,
        "mostradores": list(map(str, spec.mostradores)),
        "mostradores_count": len(spec.mostradores),
        "fecha_corte": spec.cutoff.isoformat(),
        "parametros": spec.parameters.to_labels(),
        **_job_locations(spec, app),
        "summary": summarise_counters(rows).collect().to_dicts(),
        "success": not failures,
        "mostradores_failed": failures,
        "notices": app.warehouse.notices(spec.job_id),
    }
    if with_rows:
        document["rows"] = rows.collect().rename(dict(RESULTS.labels)).to_dicts()
    return document


def _job_locations(spec: JobSpec, app: Application) -> dict[str, str]:
    files = app.runner.files
    return {
        "results_table": RESULTS.name,
        "results": app.runner.lakehouse.address(RESULTS),
        "raw": files.address(spec.raw_key("")),
        "processed": files.address(spec.processed_key("")),
    }


def _counter_list(spec: JobSpec) -> str:
    return ", ".join(map(str, spec.mostradores[:10])) + (" …" if len(spec.mostradores) > 10 else "")
