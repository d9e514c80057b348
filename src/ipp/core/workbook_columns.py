"""Columns of the analysts' workbook, by heading and by name in code.

The factor step reads `SOURCE_TABLE` from a workbook and writes `PROCESSED_TABLE`, in the workbook's
order.
"""

from __future__ import annotations

from typing import Final

from ipp.core.contract import Column, Kind, Table
from ipp.core.tables import AREA_FORECAST, COUNTERS, MATERIAL, MATERIALS, MOSTRADOR, SELLOUT

_MAX_PRICE: Final = MATERIALS.by_name["price"].maximum
_MAX_PACK_UNITS: Final = MATERIALS.by_name["inner_pack"].maximum
_MAX_SALES_VALUE: Final = COUNTERS.by_name["counter_sales_value"].maximum
_MAX_AREA_UNITS: Final = AREA_FORECAST.by_name["area_demand"].maximum

_MAX_COVER_UNITS: Final = SELLOUT.by_name["units"].maximum
"""Largest need of a product in a cover period, units: the largest sale of a day."""

_MAX_SALES_UNITS: Final = 1e9
"""Largest sales of a product in a year, units: the same as the area's."""


def _id_column(name: str, label: str, about: str, *, digits: int = 0) -> Column:
    """Return the contract of an identifier column."""
    return Column(name, label, Kind.ID, about, digits=digits)


def _text_column(name: str, label: str, about: str) -> Column:
    """Return the contract of a text column."""
    return Column(name, label, Kind.TEXT, about)


def _number_column(
    name: str, label: str, about: str, unit: str, maximum: float | None = None
) -> Column:
    """Return the contract of a column of decimal numbers from 0 up."""
    return Column(name, label, Kind.NUMBER, about, unit=unit, minimum=0, maximum=maximum)


def _unit_column(name: str, label: str, about: str, maximum: float | None = None) -> Column:
    """Return the contract of a column of whole units from 0 up."""
    return Column(name, label, Kind.COUNT, about, unit="piezas", minimum=0, maximum=maximum)


def _flag_column(name: str, label: str, about: str) -> Column:
    """Return the contract of a yes/no column."""
    return Column(name, label, Kind.FLAG, about)


_COUNTER: Final = Column(
    "mostrador", "Cliente", Kind.ID, "Número del mostrador.", required=True,
    minimum=MOSTRADOR.minimum, maximum=MOSTRADOR.maximum, aliases=("mostrador",),
)  # fmt: skip
_PRODUCT: Final = Column(
    "material", "Material", Kind.ID, "Número del producto.", required=True,
    minimum=MATERIAL.minimum, maximum=MATERIAL.maximum,
)  # fmt: skip

IDENTITY_COLUMNS: Final = (
    _text_column(
        "inventory_model", "Tipo de Invenadro", "SPP: modelo tradicional; IPP: predictivo."
    ),
    _text_column("counter_name", "InfoSitio", "Nombre del mostrador."),
    _id_column("postal_code", "Código Postal", "Área del mostrador.", digits=5),
    _COUNTER,
    _number_column(
        "counter_sales_value",
        "Monto Venta Mostrador",
        "Lo que el mostrador vende en un mes.",
        "MXN/mes",
        _MAX_SALES_VALUE,
    ),
    _PRODUCT,
    _text_column("description", "Descripción", "Nombre del producto."),
    _id_column("ean", "EAN/UPC", "Código de barras."),
    _text_column("category", "Categoría de Material", "Categoría de material."),
    _number_column("price", "Precio Farmacia", "Precio por pieza.", "MXN/pieza", _MAX_PRICE),
)

NORMALISED_COLUMNS: Final = (
    _number_column("area_demand_value", "Importe", "Ctd.UMB por precio.", "MXN/30 días"),
    _number_column(
        "area_demand",
        "Ctd.UMB",
        "Demanda prevista de toda el área.",
        "piezas/30 días",
        _MAX_AREA_UNITS,
    ),
    _number_column(
        "area_forecast_value", "Pronostico Total CP", "Valor de la demanda del área.", "MXN/30 días"
    ),
    _number_column("ratio", "Ratio Factor", "Parte del área que vende el mostrador.", "fracción"),
    _number_column(
        "reference_factor",
        "Factor Redondeo",
        "Factor de las tres columnas de referencia: 0.26.",
        "fracción",
    ),
    _number_column(
        "factor_6", "Factor 6", "Demanda del área que toca al mostrador.", "piezas/30 días"
    ),
    _number_column("factor_7", "Factor 7", "Igual que Factor 6.", "piezas/30 días"),
    _number_column("trim", "Recorte", "Freno a los productos de mucho movimiento.", "fracción"),
    _number_column(
        "factor_9",
        "Factor 9",
        "Factor 6 con recorte, en los días de inventario.",
        "piezas",
        _MAX_COVER_UNITS,
    ),
    _number_column("cover_share", "%  Dias Inversion", "Días de inventario entre 30.", "fracción"),
    _number_column(
        "weighted_traditional",
        "Ponderación Tradicional",
        "Parte tradicional (PT).",
        "piezas",
        _MAX_COVER_UNITS,
    ),
    _number_column(
        "sales_90d", "Venta Neta Trim", "Piezas de los últimos 90 días.", "piezas", _MAX_SALES_UNITS
    ),
    _number_column(
        "sales_365d",
        "Venta Neta Anual",
        "Piezas de los últimos 365 días.",
        "piezas",
        _MAX_SALES_UNITS,
    ),
    _number_column("factor_a", "Factor A", "Venta diaria del año.", "piezas/día"),
    _number_column("factor_b", "Factor B", "Doble de la venta diaria del trimestre.", "piezas/día"),
    _number_column("factor_c", "Factor C", "Un tercio de A + B.", "piezas/día"),
    _number_column(
        "factor_d", "Factor D", "Factor C en los días de inventario.", "piezas", _MAX_COVER_UNITS
    ),
    _number_column(
        "premium_result", "Resultado Premium", "Factor D redondeado a factor 0.26.", "piezas"
    ),
    _number_column("premium_share", "% Premium", "Peso de la venta propia.", "fracción"),
    _number_column("factor_f", "Factor F", "Parte de la venta propia.", "piezas", _MAX_COVER_UNITS),
    _number_column("traditional_share", "%Tradicional", "Peso de la demanda del área.", "fracción"),
    _number_column(
        "combined_result", "PT + PP", "PT + Factor F redondeado a factor 0.26.", "piezas"
    ),
    Column(
        "calculation_type",
        "Tipo de Cálculo",
        Kind.COUNT,
        "3: PT y F; 1: sólo PT; 2: sólo F; 11 y 22: rescate.",
    ),
)

CARRIED_COLUMNS: Final = (
    _unit_column(
        "inner_pack",
        "Sub Empaque",
        "Piezas del empaque más pequeño que se puede pedir.",
        _MAX_PACK_UNITS,
    ),
    _text_column("exclusion_group", "Grupo Excluido", "Grupo que la configuración deja fuera."),
    _number_column(
        "configured_target", "Monto Deseado", "Inversión que pide la configuración.", "MXN"
    ),
)
"""Columns that Job 1 passes on in addition to the workbook's own."""

FORECAST_COLUMNS: Final = (
    _number_column(
        "forecast_mean",
        "Demanda Prevista",
        "Demanda esperada en los días de inventario (IPP).",
        "piezas",
    ),
    _number_column(
        "forecast_size",
        "Tamaño Binomial",
        "r de la binomial negativa: cuanto menor, más dispersa.",
        "",
    ),
    _number_column(
        "forecast_idle",
        "Probabilidad Sin Venta",
        "De que no se venda nada en absoluto.",
        "fracción",
    ),
    _number_column(
        "silent_weeks", "Semanas Sin Venta", "Semanas observadas desde la última venta.", "semanas"
    ),
    Column(
        "unseen_weeks",
        "Semanas No Vistas",
        Kind.TEXT,
        "Semanas sin ninguna venta del mostrador: se toman como no vistas.",
    ),
    _number_column("on_hand", "Existencia", "Piezas en el mostrador.", "piezas"),
    _number_column("in_transit", "En Tránsito", "Piezas pedidas que aún no llegan.", "piezas"),
    _number_column("margin", "Margen", "Lo que deja vender una pieza.", "MXN/pieza"),
    _number_column("shelf_life", "Caducidad", "Días en que se puede vender.", "días"),
    _flag_column("vital", "Vital", "Si no debe faltar."),
    _unit_column("minimum", "Mínimo", "Piezas que debe tener al menos."),
    _unit_column("maximum", "Máximo", "Piezas que puede tener a lo más."),
)
"""Forecast and inputs of the predictive model; the traditional one only passes them on."""

RULE_COLUMNS: Final = (
    _number_column(
        "rounding_factor",
        "Factor Aplicado",
        "Parte decimal desde la que se redondeó hacia arriba.",
        "fracción",
    ),
    _unit_column("rounded", "valor optimo redondeado", "Tras el redondeo."),
    _flag_column("rescue_applied", "valor optimo rescate aplicado", "Si el rescate dio piezas."),
    _unit_column("rescued", "valor optimo rescate", "Tras el rescate."),
    _flag_column("rule_p_applied", "Regla OptimoP aplicada", "Si se aplicó la regla P."),
    _unit_column("rule_p", "valor ReglaOptimoP", "Tras la regla P."),
    _flag_column("rule_q_applied", "Regla OptimoQ aplicada", "Si se aplicó la regla Q."),
    _unit_column("rule_q", "valor ReglaOptimoQ", "Tras la regla Q."),
    _flag_column("pack_applied", "sub empaque aplicado", "Si se completó un sub empaque."),
    _unit_column("packed", "sub empaque", "Tras el sub empaque."),
    _number_column(
        "bump_priority", "prioridad joroba", "Ctd.UMB por precio: el orden de la joroba.", "MXN"
    ),
    _unit_column("bumped", "joroba", "Tras la joroba: lo que dicen las reglas."),
    _flag_column("bump_applied", "joroba aplicada", "Si la joroba lo elevó de 1 a 2."),
    _number_column("optimum_value", "optimo venta", "Óptimo por precio; 0 si no se surte.", "MXN"),
    _number_column(
        "running_value", "suma optimo venta", "Suma de óptimo venta hasta este renglón.", "MXN"
    ),
)

STOCK_COLUMNS: Final = (
    _unit_column("stocked_units", "Optimo a Surtir", "Lo que dicen las reglas; 0 si no se surte."),
    _number_column("target_investment", "Monto Objetivo", "Inversión buscada.", "MXN"),
)

_KEY_COLUMNS: Final = ("mostrador", "material")

RAW_TABLE: Final = Table(
    name="raw_data",
    title="normalizado",
    columns=IDENTITY_COLUMNS + NORMALISED_COLUMNS + CARRIED_COLUMNS + FORECAST_COLUMNS,
    key=_KEY_COLUMNS,
)
"""Output of Job 1."""

PROCESSED_TABLE: Final = Table(
    name="processed_data",
    title="procesado",
    columns=RAW_TABLE.columns + RULE_COLUMNS + STOCK_COLUMNS,
    key=_KEY_COLUMNS,
)
"""Output of the factor step."""

_SALES_COLUMNS: Final = tuple(
    Column(
        name,
        label,
        Kind.NUMBER,
        "Piezas vendidas menos devueltas.",
        unit="piezas",
        maximum=_MAX_SALES_UNITS,
    )
    for name, label in (
        ("sales_90d", "Venta Neta Trim"),
        ("sales_365d", "Venta Neta Anual"),
        ("recent_90d", "VtasTrimDataBrick"),
        ("recent_365d", "VtasAnualDataBrick"),
    )
)

_REQUIRED_NAMES: Final = {"area_demand", "factor_9", "weighted_traditional", "factor_d", "factor_f"}

SOURCE_TABLE: Final = Table(
    name="workbook",
    title="libro",
    columns=(
        *IDENTITY_COLUMNS[3:],
        *(c for c in NORMALISED_COLUMNS if c.name in _REQUIRED_NAMES),
        *_SALES_COLUMNS,
        CARRIED_COLUMNS[0],
    ),
    key=_KEY_COLUMNS,
)
"""Columns that the factor step reads from a workbook."""
