"""``ipp results``: what a job decided, on the terminal or in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson
from ipp.cli.stage_export import Step, save_step
from ipp.core.decision import explain
from ipp.core.decision.publication import summarise
from ipp.core.tables import CURVES, RESULTS
from ipp.entrypoints.application import application
from ipp.entrypoints.local_wiring import Application
from ipp.errors import InvalidInputError, NotFoundError
from ipp.formats.exports.table_export import WORKBOOK, annotate_orders
from ipp.formats.spreadsheet import write_table
from ipp.jobs.counter_ids import parse_mostradores
from ipp.jobs.job_spec import JobSpec, load_spec, saved_specs
from ipp.storage.warehouse.warehouse import TIES, Row

_CENT = 0.005
_MOST_SPENT = 0.98
"""A target of which less than this part is spent deserves a line that says why."""

_PARTS = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
"""Of what was invested: the investments whose service is shown beside it."""

_LEAST_GAP = 1e-6
"""The least that is said of how far a distribution of the money is from the best there could be."""

_NAMED = 10
"""Mostradores of which something is said one by one, at most."""

_SHOWN = 15
"""Products shown on the terminal, those with the most money first."""


def results(
    job: Annotated[str | None, Parameter(help="El job_id que dijo `ipp run`; sin él, se enumeran todos.")] = None,
    /,
    *,
    mostrador: Annotated[str | None, Parameter(help="Sólo este mostrador, con sus productos.")] = None,
    salida: Annotated[Path | None, Parameter(help="Guarda los renglones en un archivo xlsx, csv o parquet.")] = None,
    etapa: Annotated[Step, Parameter(help="Qué renglones se guardan: los publicados o los de una etapa.")] = (
        "publicacion"
    ),
    as_json: AsJson = False,
) -> int:
    """Muestra o guarda los resultados de un proceso."""
    app = application()
    if job is None:
        if mostrador is not None or salida is not None:
            raise InvalidInputError("Falta el job_id.", hint="`ipp results` sin argumentos los enumera.")
        _list_jobs(app, as_json=as_json)
        return 0
    spec = load_spec(job, app.workspace.files)
    number = None if mostrador is None else _asked(mostrador, spec)
    if etapa != "publicacion":
        if salida is None:
            raise InvalidInputError("--etapa guarda un archivo.", hint="Diga cuál con --salida.")
        save_step(app, spec, etapa, number, salida)
        console.say(f"Guardado en {salida.absolute()}")
        return 0
    rows = published(app, spec)
    if number is not None:
        rows = rows.filter(pl.col("mostrador") == number)
    rows = rows.sort(TIES)
    if salida is not None:
        _save(rows.collect(), salida, app)
    if as_json:
        console.print_json(_document(spec, app, rows, with_rows=number is not None))
    else:
        describe(spec, app, rows=rows)
        if number is not None:
            _products(rows)
            _curve(app, spec, number)
    if salida is not None and not as_json:
        console.say(f"Guardado en {salida.absolute()}")
    return 0


def _save(rows: pl.DataFrame, path: Path, app: Application) -> None:
    """Write the rows; a workbook says as well which products an order leaves out. Raises as `write_table`."""
    if path.suffix.lower() == ".xlsx":
        write_table(path, annotate_orders(rows), WORKBOOK.labels, app.workspace.scratch, WORKBOOK.formats)
    else:
        write_table(path, rows, RESULTS.labels, app.workspace.scratch, RESULTS.formats)


def _asked(mostrador: str, spec: JobSpec) -> int:
    (number,) = parse_mostradores([mostrador])
    if number not in spec.mostradores:
        raise NotFoundError(f"El mostrador {number} no está en {spec.job_id}.", hint=f"Están: {_listed(spec)}.")
    return number


def _curve(app: Application, spec: JobSpec, mostrador: int) -> None:
    """What other investments would have served, for a mostrador of the predictive model."""
    points = app.workspace.lakehouse.scan(CURVES, [spec.job_id]).filter(pl.col("mostrador") == mostrador)
    curve = points.sort("investment").collect()
    if curve.is_empty() or curve["fill_rate"].null_count():
        return
    (chosen,) = curve.filter("chosen").iter_rows(named=True)
    rows = []
    for part in _PARTS:
        money = chosen["investment"] * part
        rate = float(np.interp(money, curve["investment"].to_numpy(), curve["fill_rate"].to_numpy()))
        rows.append([console.money(money), f"{rate:.1%}", "← lo publicado" if part == 1 else ""])
    console.print_table("Servicio por inversión", ["Inversión", "Servicio", ""], rows, texts=("",))
    console.say(f"Ningún otro reparto de ese dinero serviría más de un {max(chosen['gap'], _LEAST_GAP):.4%} más.")


def _list_jobs(app: Application, *, as_json: bool) -> None:
    """Every job there is, newest first, and whether it has published."""
    specs = sorted(saved_specs(app.workspace.files), key=lambda spec: (spec.created_at, spec.job_id), reverse=True)
    done = set(app.workspace.lakehouse.scan(RESULTS).select(pl.col("job_id").unique()).collect()["job_id"])
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
        console.say("Todavía no hay procesos: empiece uno con `ipp run`.")
        return
    rows = [
        [
            spec.job_id,
            f"{spec.created_at.astimezone():%Y-%m-%d %H:%M}",
            console.whole(len(spec.mostradores)),
            "completado" if spec.job_id in done else "sin terminar",
        ]
        for spec in specs
    ]
    console.print_table("Procesos", ["Proceso", "Creado", "Mostradores", "Estado"], rows, texts={"Proceso", "Estado"})


def published(app: Application, spec: JobSpec) -> pl.LazyFrame:
    """The job's rows of ``ipp_resultados_finales``, in any order.

    Raises `NotFoundError` where the job has not published yet.
    """
    rows = app.workspace.lakehouse.scan(RESULTS, [spec.job_id])
    if rows.select(pl.len()).collect().item() == 0:
        raise NotFoundError(
            f"Proceso no completado: {spec.job_id}.",
            hint=f"Termínelo con `ipp run --reanudar {spec.job_id}`.",
        )
    return rows


def describe(spec: JobSpec, app: Application, *, rows: pl.LazyFrame | None = None, as_json: bool = False) -> None:
    """Say what came out of a job and where it lies."""
    rows = published(app, spec) if rows is None else rows
    if as_json:
        console.print_json(_document(spec, app, rows, with_rows=False))
        return
    summary, failures = summarise(rows).collect(), app.warehouse.failures(spec.job_id)
    lines = [
        [
            str(row["mostrador"]),
            console.whole(row["products_with_stock"]),
            console.whole(row["units"]),
            console.money(row["investment"]),
            console.money(row["target_investment"]),
            "IPP" if row["rounding_factor"] is None else f"{row['rounding_factor']:.2f}",
            "—" if row["expected_fill_rate"] is None else f"{row['expected_fill_rate']:.1%}",
        ]
        for row in summary.iter_rows(named=True)
    ]
    headings = ["Mostrador", "Surtidos", "Piezas", "Inversión", "Objetivo", "Factor", "Servicio"]
    console.print_table(
        f"{spec.job_id} · {console.whole(int(summary['products'][0]))} productos · MXN · venta hasta {spec.cutoff}",
        headings,
        lines + [_total(summary)] * (len(lines) > 1),
    )
    _say_what_was_not_met(summary)
    _say_what_is_not_ordered(spec, summary)
    _say_notices(spec, app.warehouse.notices(spec.job_id))
    _say_who_failed(spec, failures)
    places = _places(spec, app)
    console.say(
        f"Resultados  {places['results']}\n"
        f"Normalizado {places['raw']}\n"
        f"Procesado   {places['processed']}\n"
        f"Detalle     ipp results {spec.job_id} --mostrador {spec.mostradores[0]} --salida detalle.xlsx"
    )


def _say_what_was_not_met(summary: pl.DataFrame) -> None:
    """A line for each mostrador whose target cannot be kept to, or not be spent."""
    for row in summary.iter_rows(named=True):
        if row["investment"] > row["target_investment"] + _CENT:
            console.say(
                f"{row['mostrador']}: lo que no se puede quitar ya cuesta "
                f"{console.money(row['investment'])}; no se puede bajar a {console.money(row['target_investment'])}."
            )
        elif row["investment"] < row["target_investment"] * _MOST_SPENT:
            console.say(
                f"{row['mostrador']}: no hay más demanda en que gastar los {console.money(row['target_investment'])}."
            )


def _say_what_is_not_ordered(spec: JobSpec, summary: pl.DataFrame) -> None:
    """A line for each mostrador with products whose stock is not known, the most money first, and one for all."""
    count, value = "products_with_unknown_stock", "value_with_unknown_stock"
    some = summary.filter(pl.col(count) > 0).sort(value, "mostrador", descending=[True, False])
    if some.is_empty():
        return
    for row in some.head(_NAMED).iter_rows(named=True):
        said = explain.unknown_stock(row[count], row[value], row["products_with_stock"])
        console.say(f"{row['mostrador']}: {said[:1].lower()}{said[1:]}")
    _say_more(spec, len(some) - _NAMED)
    if len(summary) > 1:
        said = explain.unknown_stock(*summary.select(pl.col(count, value, "products_with_stock").sum()).row(0))
        console.say(f"Total: {said[:1].lower()}{said[1:]}")
    console.say(
        "Para que entren importe sus existencias, también las que están en cero: `ipp import existencias ARCHIVO`; "
        "y calcule otra vez."
    )


def _say_notices(spec: JobSpec, notices: Sequence[Row]) -> None:
    """A line for each mostrador whose data are odd."""
    for notice in notices[:_NAMED]:
        console.say(f"Aviso: {notice['notice']}")
    _say_more(spec, len(notices) - _NAMED)


def _say_more(spec: JobSpec, count: int) -> None:
    """That there are ``count`` more than were named, where there are."""
    if count > 0:
        console.say(f"y {console.whole(count)} más: `ipp results {spec.job_id} --json` los nombra todos.")


def _say_who_failed(spec: JobSpec, failures: Sequence[Row]) -> None:
    """A line for each mostrador that nothing was published of, and what to do."""
    for failure in failures[:_NAMED]:
        console.say(f"{failure['mostrador']}: falló en la etapa {failure['stage']}: {failure['cause']}")
    _say_more(spec, len(failures) - _NAMED)
    if failures:
        share = f"{console.whole(len(failures))} de {console.whole(len(spec.mostradores))}"
        console.say(
            f"Fallaron {share} mostradores. Corrija la causa y calcule sólo esos: ipp run --reintentar {spec.job_id}"
        )


def _total(summary: pl.DataFrame) -> list[str]:
    sums = summary.select(pl.col("products_with_stock", "units").sum())
    money = [console.money(round(float(summary[name].sum()), 2)) for name in ("investment", "target_investment")]
    return ["Total", *(console.whole(n) for n in sums.row(0)), *money, "", ""]


def _products(rows: pl.LazyFrame) -> None:
    top = rows.sort("optimum_value", "material", descending=[True, False]).head(_SHOWN).collect()
    lines = [
        [str(row["material"]), row["description"] or "", console.whole(row["optimum"]),
         console.money(row["optimum_value"]), row["reason"]]
        for row in top.iter_rows(named=True)
    ]  # fmt: skip
    console.print_table(
        f"Los {len(lines)} productos con más inversión",
        ["Material", "Descripción", "Óptimo", "Importe MXN", "Motivo"],
        lines,
        texts={"Descripción", "Motivo"},
    )


def _document(spec: JobSpec, app: Application, rows: pl.LazyFrame, *, with_rows: bool) -> dict[str, object]:
    failures = app.warehouse.failures(spec.job_id)
    document: dict[str, object] = {
        "job_id": spec.job_id,
        "mostradores": list(map(str, spec.mostradores)),
        "mostradores_count": len(spec.mostradores),
        "fecha_corte": spec.cutoff.isoformat(),
        "parametros": spec.parameters.to_labels(),
        **_places(spec, app),
        "summary": summarise(rows).collect().to_dicts(),
        "success": not failures,
        "mostradores_failed": failures,
        "notices": app.warehouse.notices(spec.job_id),
    }
    if with_rows:
        document["rows"] = rows.collect().rename(dict(RESULTS.labels)).to_dicts()
    return document


def _places(spec: JobSpec, app: Application) -> dict[str, str]:
    files = app.workspace.files
    return {
        "results_table": RESULTS.name,
        "results": app.workspace.lakehouse.address(RESULTS),
        "raw": files.address(spec.raw("")),
        "processed": files.address(spec.processed("")),
    }


def _listed(spec: JobSpec) -> str:
    return ", ".join(map(str, spec.mostradores[:10])) + (" …" if len(spec.mostradores) > 10 else "")
