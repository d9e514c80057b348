"""``ipp serve``: the HTTP server of one machine, or over AWS and Databricks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from cyclopts import Parameter

from ipp.entrypoints.memory_arenas import limit_arenas
from ipp.errors import InvalidInputError

_CLOUD_HELP: Final = (
    "Sirve los procesos de AWS y las tablas de Databricks, no los de esta máquina. "
    "No trae trabajador: los cálculos corren en Databricks."
)


def serve(
    *,
    host: Annotated[str, Parameter(help="Dirección en que se escucha.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Puerto; 0 toma uno libre.")] = 8_000,
    nube: Annotated[bool, Parameter(negative="", help=_CLOUD_HELP)] = False,
) -> int:
    """Sirve IPP por HTTP en esta máquina, con un trabajador; Ctrl-C termina."""
    with limit_arenas():  # its libraries read their settings on load
        if nube:
            serve_http = _import_cloud_server()
        else:
            from ipp.entrypoints.server import serve_http  # noqa: PLC0415  # lazy: after the arenas are limited
    serve_http(host, port)
    return 0


def _import_cloud_server() -> Callable[[str, int], None]:
    """Return the server over AWS. Raises `InvalidInputError` if its libraries are not installed."""
    try:
        from ipp.entrypoints.cloud_server import serve_cloud  # noqa: PLC0415  # lazy: its libraries are an extra
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"Falta instalar {error.name}, que --nube necesita.",
            hint='Instale IPP con pip install "ipp[aws,databricks]".',
        ) from None
    return serve_cloud
