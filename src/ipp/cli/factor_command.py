"""``ipp factor``: the factor step on an existing workbook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ipp import console
from ipp.cli.option import AsJson, build_parameters, describe_parameter, number_option
from ipp.core.parameters import PARAMETER_FIELDS, Parameters
from ipp.core.traditional.factor import FactorStep
from ipp.errors import InvalidInputError
from ipp.formats.spreadsheet import write_table
from ipp.formats.workbook import apply_factor, read_workbook
from ipp.settings import Settings
from ipp.storage.files.scratch import Scratch

_OPTION_NAMES = {
    "investment_days": "--dias",
    "forced_factor": "--factor",
    "target_investment": "--monto",
}
_DEFAULT_DAYS = Parameters().investment_days


def factor(
    archivo: Annotated[Path, Parameter(help="Libro en xlsx, csv o Parquet.")],
    /,
    *,
    factor: Annotated[
        float | None, number_option(describe_parameter(PARAMETER_FIELDS["forced_factor"]))
    ] = None,
    monto: Annotated[float | None, number_option("Inversión que se busca, MXN.")] = None,
    dias: Annotated[
        float, number_option("Sin --monto, se buscan estos días de Monto Venta Mostrador.")
    ] = _DEFAULT_DAYS,
    salida: Annotated[
        Path | None, Parameter(help="Guarda el libro con cada columna calculada.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Aplica el factor de redondeo a un libro de Excel, csv o Parquet; el archivo no se toca."""
    parameters = build_parameters(
        _OPTION_NAMES, investment_days=dias, forced_factor=factor, target_investment=monto
    )
    if salida is not None and salida.resolve() == archivo.resolve():
        raise InvalidInputError(
            "--salida es el mismo archivo.", hint="Indique otro: el libro no se toca."
        )
    scratch = Scratch(Settings.from_environment().scratch)
    workbook = read_workbook(archivo, scratch, with_sales_value=monto is None and factor is None)
    steps = apply_factor(workbook, parameters)
    if salida is not None:
        frame, headings = workbook.add_rule_columns(steps)
        write_table(salida, frame, headings, scratch)
    if as_json:
        console.print_json([_factor_document(mostrador, step) for mostrador, step in steps.items()])
        return 0
    _print_steps(archivo, steps)
    for notice in workbook.notices:
        console.print_line(f"Aviso: {notice}.")
    if salida is not None:
        console.print_line(f"Guardado en {salida.absolute()}")
    return 0


def _print_steps(file: Path, steps: Mapping[int, FactorStep]) -> None:
    """Print the factor of each mostrador of a workbook, and what it costs."""
    rows = [
        [
            str(mostrador),
            f"{step.factor:.2f}",
            console.format_money(step.investment),
            console.format_money(step.target),
            console.format_count(step.products),
            console.format_count(step.products_with_stock),
            console.format_count(step.units),
        ]
        for mostrador, step in steps.items()
    ]
    headings = ["Mostrador", "Factor", "Inversión", "Objetivo", "Productos", "Surtidos", "Piezas"]
    console.print_table(f"{file.name} · MXN", headings, rows)


def _factor_document(mostrador: int, step: FactorStep) -> dict[str, object]:
    document: dict[str, object] = {
        "mostrador": mostrador,
        "rounding_factor": step.factor,
        "investment": step.investment,
        "target_investment": step.target,
        "products": step.products,
        "products_with_stock": step.products_with_stock,
        "units": step.units,
    }
    if step.curve:
        document["curve"] = [list(point) for point in step.curve]
    return document
