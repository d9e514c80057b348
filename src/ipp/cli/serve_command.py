"""``ipp serve``: the HTTP server of one machine, or over AWS and Databricks."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from ipp.entrypoints.memory_arenas import limit_arenas

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
            from ipp.entrypoints.cloud_server import serve_cloud as serve_http  # noqa: PLC0415
        else:
            from ipp.entrypoints.server import serve_http  # noqa: PLC0415
    serve_http(host, port)
    return 0
