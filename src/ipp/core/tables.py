"""Contracts of every table that IPP stores or imports (see `ipp.core.contract`).

People import the bronze tables and read the gold ones. Labels are snake_case because a Delta column
name may not contain spaces; headings found in files in use are aliases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ipp.core.contract import Column, Kind, Table
from ipp.core.product_groups import PRODUCT_GROUPS

_MAX_COUNTER_ID: Final = 9_999_999_999
"""Largest mostrador id: ten digits."""

_MAX_PRODUCT_CODE: Final = 10**18 - 1
"""Largest material or bar code: 18 digits, as many as always fit into 64 bits."""

MOSTRADOR: Final = Column(
    "mostrador", "mostrador", Kind.ID, "Número del mostrador.", required=True,
    minimum=1, maximum=_MAX_COUNTER_ID, aliases=("cliente", "id mostrador"),
)  # fmt: skip
MATERIAL: Final = Column(
    "material", "material", Kind.ID, "Número del producto.", required=True,
    minimum=1, maximum=_MAX_PRODUCT_CODE, aliases=("sku", "codigo material"),
)  # fmt: skip
POSTAL_CODE: Final = Column(
    "postal_code", "codigo_postal", Kind.ID, "Código postal.", required=True,
    minimum=1, maximum=99_999, aliases=("cp", "código postal"), digits=5,
)  # fmt: skip

TRADITIONAL_MODEL: Final = "SPP"
"""The tipo_inventario of the traditional model."""

PREDICTIVE_MODEL: Final = "IPP"
"""The tipo_inventario of the predictive model."""

CONFIGURATIONS: Final = Table(
    name="bronze.invenadro_input_automatizacion",
    title="configuraciones",
    columns=(
        MOSTRADOR,
        Column(
            "inventory_model", "tipo_inventario", Kind.TEXT,
            "SPP: modelo tradicional; IPP: modelo predictivo.",
            required=True, choices=(TRADITIONAL_MODEL, PREDICTIVE_MODEL),
            default=TRADITIONAL_MODEL, aliases=("tipo de invenadro",),
        ),
        Column(
            "target_investment", "monto_deseado", Kind.NUMBER,
            "Dinero que el mostrador quiere tener en inventario.",
            unit="MXN", minimum=0.01, maximum=1e12,
        ),
        *(
            Column(
                group.switch_name, group.switch_label, Kind.FLAG,
                f"Si se surten los productos del grupo {group.title}.", required=True, default=True,
            )
            for group in PRODUCT_GROUPS
        ),
        Column(
            "updated_on", "fecha_actualizacion", Kind.DATE, "Cuándo se cambió la configuración.",
        ),
    ),
    key=("mostrador",),
    references={"mostrador": "bronze.mostradores"},
)  # fmt: skip

COUNTERS: Final = Table(
    name="bronze.mostradores",
    title="mostradores",
    columns=(
        MOSTRADOR,
        Column(
            "counter_name", "nombre", Kind.TEXT, "Nombre del mostrador.",
            aliases=("infositio", "sitio"),
        ),
        POSTAL_CODE,
        Column(
            "counter_sales_value", "monto_venta_mostrador", Kind.NUMBER,
            "Lo que el mostrador vende en un mes; si falta, sale de su sell-out.",
            unit="MXN/mes", minimum=0, maximum=1e12, aliases=("monto venta", "venta mensual"),
        ),
    ),
    key=("mostrador",),
)  # fmt: skip

STOCK_LIMIT_COLUMNS: Final = (
    Column(
        "margin", "margen", Kind.NUMBER,
        "Lo que deja vender una pieza; si no se da, cada pieza vale lo mismo.",
        unit="MXN/pieza", minimum=0, maximum=1e7,
    ),
    Column(
        "shelf_life", "caducidad_dias", Kind.NUMBER, "Días en que se puede vender.",
        unit="días", minimum=1, maximum=36_500, aliases=("vida util",),
    ),
    Column(
        "vital", "vital", Kind.FLAG, "Si no debe faltar: se surte antes que los demás.",
        default=False,
    ),
    Column(
        "minimum", "minimo", Kind.COUNT, "Piezas que debe tener al menos.",
        unit="piezas", minimum=0, maximum=1e6,
    ),
    Column(
        "maximum", "maximo", Kind.COUNT, "Piezas que puede tener a lo más.",
        unit="piezas", minimum=0, maximum=1e6,
    ),
)  # fmt: skip
"""Optional limits on a product's stock in the catalogue; the predictive model respects them."""

MATERIALS: Final = Table(
    name="bronze.materiales",
    title="materiales",
    columns=(
        MATERIAL,
        Column("description", "descripcion", Kind.TEXT, "Nombre del producto."),
        Column(
            "ean", "ean", Kind.ID, "Código de barras.",
            minimum=0, maximum=_MAX_PRODUCT_CODE, aliases=("ean/upc", "upc"),
        ),
        Column(
            "category", "categoria", Kind.TEXT, "Categoría de material.",
            aliases=("categoría de material",),
        ),
        Column(
            "price", "precio", Kind.NUMBER, "Precio farmacia.", unit="MXN/pieza",
            minimum=0, maximum=1e7, aliases=("precio farmacia",),
        ),
        Column(
            "inner_pack", "sub_empaque", Kind.COUNT,
            "Piezas del empaque más pequeño que se puede pedir.",
            unit="piezas", minimum=1, maximum=100_000, aliases=("subempaque",),
        ),
        *STOCK_LIMIT_COLUMNS,
    ),
    key=("material",),
)  # fmt: skip

SELLOUT: Final = Table(
    name="bronze.sellout",
    title="sellout",
    columns=(
        MOSTRADOR,
        MATERIAL,
        Column("date", "fecha", Kind.DATE, "Día de la venta.", required=True, aliases=("dia",)),
        Column(
            "units", "piezas", Kind.NUMBER, "Piezas vendidas ese día.",
            unit="piezas", required=True, minimum=0, maximum=1e7, aliases=("unidades", "cantidad"),
        ),
    ),
    key=("mostrador", "material", "date"),
    partition_by=("date",),
    sort_by=("mostrador", "material"),
    references={"mostrador": COUNTERS.name, "material": MATERIALS.name},
    summable="units",
)  # fmt: skip

STOCK: Final = Table(
    name="bronze.existencias",
    title="existencias",
    columns=(
        MOSTRADOR,
        MATERIAL,
        Column(
            "on_hand", "existencia", Kind.NUMBER, "Piezas en el mostrador.",
            unit="piezas", required=True, minimum=0, maximum=1e7, aliases=("existencias", "stock"),
        ),
        Column(
            "in_transit", "en_transito", Kind.NUMBER, "Piezas pedidas que aún no llegan.",
            unit="piezas", required=True, minimum=0, maximum=1e7, default=0,
        ),
        Column("counted_on", "fecha", Kind.DATE, "Día del conteo."),
    ),
    key=("mostrador", "material"),
    references={"mostrador": COUNTERS.name, "material": MATERIALS.name},
)  # fmt: skip

AREA_FORECAST: Final = Table(
    name="bronze.pronostico_cp",
    title="pronostico-cp",
    columns=(
        POSTAL_CODE,
        MATERIAL,
        Column(
            "area_demand", "ctd_umb", Kind.NUMBER, "Piezas que se espera vender en toda el área.",
            unit="piezas/30 días", required=True, minimum=0, maximum=1e9,
            aliases=("ctd.umb", "cantidad", "pronostico"),
        ),
    ),
    key=("postal_code", "material"),
    references={"material": MATERIALS.name},
)  # fmt: skip

IMPORTABLE_TABLES: Final[Mapping[str, Table]] = {
    table.title: table
    for table in (CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK, AREA_FORECAST)
}
"""Tables that ``ipp import`` accepts, by the title that people type."""


def _number_column(name: str, label: str, about: str, unit: str = "") -> Column:
    """Return the contract of a column of decimal numbers."""
    return Column(name, label, Kind.NUMBER, about, unit=unit)


def _unit_column(name: str, label: str, about: str) -> Column:
    """Return the contract of a column of whole units."""
    return Column(name, label, Kind.COUNT, about, unit="piezas")


RESULTS: Final = Table(
    name="gold.ipp_resultados_finales",
    title="resultados",
    columns=(
        Column("job_id", "job_id", Kind.TEXT, "Proceso que lo calculó.", required=True),
        MOSTRADOR,
        MATERIAL,
        Column("description", "descripcion", Kind.TEXT, "Nombre del producto."),
        Column("ean", "ean", Kind.ID, "Código de barras."),
        Column("category", "categoria", Kind.TEXT, "Categoría de material."),
        _number_column("price", "precio", "Precio farmacia.", "MXN/pieza"),
        _unit_column("optimum", "optimo", "Piezas que conviene tener."),
        _number_column("optimum_value", "importe_optimo", "Óptimo por precio.", "MXN"),
        Column("reason", "motivo", Kind.TEXT, "Por qué esta cantidad, en una frase."),
        Column("exclusion", "motivo_exclusion", Kind.TEXT, "Por qué no se surte, si no se surte."),
        _number_column(
            "expected_demand",
            "demanda_esperada",
            "Demanda esperada en los días de inventario.",
            "piezas",
        ),
        _number_column(
            "expected_sales",
            "venta_esperada",
            "Piezas que se espera vender teniendo el óptimo.",
            "piezas",
        ),
        _number_column(
            "fill_rate",
            "servicio_esperado",
            "Parte de la demanda esperada que se espera servir.",
            "fracción",
        ),
        _unit_column(
            "demand_p50", "demanda_p50", "La demanda no pasa de aquí la mitad de las veces."
        ),
        _unit_column("demand_p90", "demanda_p90", "No pasa de aquí 9 de cada 10 veces."),
        _unit_column("demand_p95", "demanda_p95", "No pasa de aquí 19 de cada 20 veces."),
        _number_column("on_hand", "existencia", "Piezas en el mostrador.", "piezas"),
        _number_column("in_transit", "en_transito", "Piezas pedidas que aún no llegan.", "piezas"),
        _unit_column(
            "suggested_order",
            "pedido_sugerido",
            "Piezas que faltan para el óptimo, en sub empaques enteros.",
        ),
        _unit_column("rule_optimum", "optimo_reglas", "Piezas que fijaron las reglas."),
        _unit_column(
            "budget_change",
            "ajuste_presupuesto",
            "Piezas que sumó o quitó el ajuste al presupuesto.",
        ),
        _unit_column(
            "inner_pack", "sub_empaque", "Piezas del empaque más pequeño que se puede pedir."
        ),
        _number_column(
            "area_demand", "demanda_area", "Demanda del área (Ctd.UMB).", "piezas/30 días"
        ),
        _number_column(
            "sales_365d", "venta_365_dias", "Venta del mostrador en 365 días.", "piezas"
        ),
        _number_column("sales_90d", "venta_90_dias", "Venta del mostrador en 90 días.", "piezas"),
        _number_column(
            "rounding_factor", "factor_redondeo", "Factor de redondeo del mostrador.", "fracción"
        ),
        _number_column(
            "target_investment", "monto_objetivo", "Inversión buscada para el mostrador.", "MXN"
        ),
        Column("postal_code", "codigo_postal", Kind.ID, "Código postal.", digits=5),
        Column("inventory_model", "tipo_inventario", Kind.TEXT, "Modelo con que se calculó."),
        Column("cutoff", "fecha_corte", Kind.DATE, "Último día de venta que se tomó en cuenta."),
    ),
    key=("job_id", "mostrador", "material"),
    partition_by=("job_id",),
)

DECISION_COLUMNS: Final = (
    _unit_column("minimum_units", "piezas_minimas", "Piezas que debe tener al menos."),
    _unit_column("maximum_units", "piezas_maximas", "Piezas que puede tener a lo más."),
    _number_column("next_chance", "probabilidad_otra", "Probabilidad de vender otra.", "fracción"),
    Column("rule", "regla", Kind.TEXT, "Por qué no son más ni menos piezas."),
)
"""Limits of the predictive model's decision; null for the traditional one and in older rows."""

PUBLISHED_RESULTS: Final = replace(RESULTS, columns=(*RESULTS.columns, *DECISION_COLUMNS))
"""`RESULTS` as published: with the limits, which no file that people download has."""

CURVES: Final = Table(
    name="gold.ipp_curvas",
    title="curvas",
    columns=(
        Column("job_id", "job_id", Kind.TEXT, "Proceso que lo calculó.", required=True),
        MOSTRADOR,
        _number_column("investment", "inversion", "Dinero en inventario.", "MXN"),
        _number_column(
            "fill_rate",
            "servicio_esperado",
            "Parte de la demanda esperada que se serviría con él.",
            "fracción",
        ),
        Column("chosen", "elegido", Kind.FLAG, "Si es lo que se publicó."),
        _number_column(
            "gap",
            "brecha",
            "Lo que falta, como parte, para lo que ningún reparto puede pasar.",
            "fracción",
        ),
    ),
    key=("job_id", "mostrador", "investment"),
    partition_by=("job_id",),
)
"""Fill rate at each investment, ascending, for the counters of the predictive model."""

FAILURES: Final = Table(
    name="gold.ipp_fallas",
    title="fallas",
    columns=(
        Column("job_id", "job_id", Kind.TEXT, "Proceso en que falló.", required=True),
        MOSTRADOR,
        Column(
            "stage", "etapa", Kind.TEXT, "Etapa en que falló: normalizador, factor o publicacion."
        ),
        Column("cause", "causa", Kind.TEXT, "Por qué falló."),
    ),
    key=("job_id", "mostrador"),
    partition_by=("job_id",),
)
"""The mostradores that failed in a job; the job published the others without them."""


def _text(name: str, label: str, about: str) -> Column:
    """Return the contract of a text column."""
    return Column(name, label, Kind.TEXT, about)


PROCESSES: Final = Table(
    name="gold.ipp_procesos",
    title="procesos",
    columns=(
        Column("job_id", "job_id", Kind.TEXT, "Proceso que publicó.", required=True),
        _text("owner", "sub", "De quién es el proceso; vacío si se corrió en la terminal."),
        _text("email", "email", "Correo de quien lo pidió."),
        _text("username", "username", "Usuario de quien lo pidió."),
        _text("user_name", "name", "Nombre de quien lo pidió."),
        _text("mostradores", "mostradores", "Los mostradores que se pidieron, entre comas."),
        _text("parameters", "parametros", "Con qué parámetros se calculó, en JSON."),
        Column("cutoff", "fecha_corte", Kind.DATE, "Último día de venta que se tomó en cuenta."),
        _text("created_at", "created_at", "Cuándo se pidió, en UTC."),
        _text("published_at", "published_at", "Cuándo se publicó, en UTC."),
        _text("normaliser_run", "job1_run_id", "Ejecución del normalizador."),
        _text("publication_run", "job2_run_id", "Ejecución que publicó."),
    ),
    key=("job_id",),
    partition_by=("job_id",),
)
"""Published jobs and their owners. Written last, so that a listed job's results exist."""

NOTICES: Final = Table(
    name="gold.ipp_avisos",
    title="avisos",
    columns=(
        Column("job_id", "job_id", Kind.TEXT, "Proceso que lo calculó.", required=True),
        MOSTRADOR,
        Column(
            "notice",
            "aviso",
            Kind.TEXT,
            "Lo que hay que saber de sus datos, en una frase.",
            required=True,
        ),
    ),
    key=("job_id", "mostrador", "notice"),
    partition_by=("job_id",),
)
"""Warnings about the data of the mostradores that a job published."""
