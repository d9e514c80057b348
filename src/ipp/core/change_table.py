"""The table of changes to what all share."""

from __future__ import annotations

from typing import Final

from ipp.core.contract import Column, Kind, Table


def _text(name: str, label: str, about: str) -> Column:
    return Column(name, label, Kind.TEXT, about)


CHANGES: Final = Table(
    name="bronze.ipp_cambios",
    title="cambios",
    columns=(
        Column(
            "change_id", "id", Kind.TEXT,
            "Identificador del cambio; el de cada renglón de un archivo es el del archivo, / y su "
            "clave.",
            required=True,
        ),
        Column(
            "state", "estado", Kind.TEXT,
            "hecho; sin confirmar, si quien lo hacía no alcanzó a decir cómo acabó; o no se hizo.",
            required=True,
        ),
        _text("changed_at", "cuando", "Cuándo se hizo, en UTC."),
        _text("author", "sub", "Identidad de quien lo hizo."),
        _text("author_name", "quien", "Nombre o correo de quien lo hizo."),
        _text("door", "puerta", "Por dónde: http, página o línea de comandos."),
        _text("operation", "operacion", "crear, cambiar, borrar, importar o crear muestra."),
        _text("object", "objeto", "La tabla que cambió, por el nombre con que se importa."),
        _text("row_key", "clave", "El renglón que cambió; vacío si fueron varios."),
        _text("before", "antes", "El renglón como estaba, en JSON; nulo si no existía."),
        _text("after", "despues", "El renglón como quedó, en JSON; nulo si se borró."),
        _text(
            "detail", "detalle",
            "Si fueron varios: cuántos y de qué archivo, en JSON; si es un renglón de un archivo: "
            "de cuál.",
        ),
        _text("version_before", "version_antes", "Versión de la tabla antes; vacía si no existía."),
        _text("version_after", "version_despues", "Versión de la tabla después."),
    ),
    key=("change_id", "state"),
)  # fmt: skip
"""Every change of what all share. A record is never changed, so one change may have two states."""

CHANGE_TEXT_COLUMNS: Final = ("author", "author_name", "row_key", "before", "after", "detail")
"""The columns that a text is searched for in."""

CHANGE_ROW_TEXT_COLUMNS: Final = ("row_key", "before", "after")
"""Those of a row of a change of many, whose author and file are the change's own."""
