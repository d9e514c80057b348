"""``ipp serve``: the HTTP server of one machine."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ipp.entrypoints.memory_arenas import limit_arenas


def serve(
    *,
    host: Annotated[str, Parameter(help="Dirección en que se escucha.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Puerto; 0 toma uno libre.")] = 8_000,
) -> int:
    """Sirve IPP por HTTP en esta máquina, con un trabajador; Ctrl-C termina."""
    with limit_arenas():
        from ipp.entrypoints import server  # noqa: PLC0415  # its libraries read their settings on load
    server.serve_http(host, port)
    return 0
