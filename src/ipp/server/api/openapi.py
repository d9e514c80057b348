"""What ``/openapi.json`` says beyond what the framework finds out by itself."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ipp.server.api.problem_response import MEDIA_TYPE

ID_PATTERN: Final = "^0*[1-9][0-9]{0,9}$"
"""A mostrador's number as text."""

_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {
    "title": "Problem",
    "description": "RFC 9457, con `error` y `message` del documento fundador.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "error", "message"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "instance", "error", "message"), _TEXT),
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": _TEXT, "reason": _TEXT},
            },
        },
    },
}


def _refused(**examples: dict[str, Any]) -> dict[str, Any]:
    shown = {name: {"value": content} for name, content in examples.items()}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "Lo que no se pudo hacer, y por qué.",
        "content": {MEDIA_TYPE: {"schema": schema, "examples": shown}},
    }


_MISSING: Final = {
    "type": "urn:ipp:problema:no_encontrado",
    "title": "No encontrado",
    "status": 404,
    "detail": "Job no encontrado. Revise el job_id ipp-abc123-def456.",
    "instance": "/ipp/status/ipp-abc123-def456",
    "error": "Job no encontrado",
    "message": "Job no encontrado. Revise el job_id ipp-abc123-def456.",
}
_EARLY: Final = {
    "type": "urn:ipp:problema:proceso_no_completado",
    "title": "Conflicto",
    "status": 409,
    "detail": "Proceso no completado. Su estado es JOB1_RUNNING.",
    "instance": "/ipp/results/ipp-abc123-def456",
    "error": "Proceso no completado",
    "message": "Proceso no completado. Su estado es JOB1_RUNNING.",
    "job_status": "JOB1_RUNNING",
}
_FAILED: Final = {
    "type": "urn:ipp:problema:mostrador_fallido",
    "title": "Conflicto",
    "status": 409,
    "detail": "El mostrador 7051602 falló en la etapa factor: sin precio. "
    "Corrija la causa y empiece otro proceso con este mostrador.",
    "instance": "/ipp/results/ipp-abc123-def456/rows",
    "error": "El mostrador 7051602 falló en la etapa factor: sin precio.",
    "message": "El mostrador 7051602 falló en la etapa factor: sin precio. "
    "Corrija la causa y empiece otro proceso con este mostrador.",
}
_BUSY: Final = {
    "type": "urn:ipp:problema:ocupado",
    "title": "Servicio no disponible",
    "status": 503,
    "detail": "Otro proceso está escribiendo la tabla configuraciones. Espere a que termine y repita.",
    "instance": "/configuraciones/7051602",
    "error": "Otro proceso está escribiendo la tabla configuraciones.",
    "message": "Otro proceso está escribiendo la tabla configuraciones. Espere a que termine y repita.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of ``app``: every operation may answer a problem, and ids look like ids."""
    if app.openapi_schema is None:
        description = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for path in description["paths"].values():
            for operation in path.values():
                _refine(operation)
        schemas = description.setdefault("components", {}).setdefault("schemas", {})
        for framework in ("HTTPValidationError", "ValidationError"):
            schemas.pop(framework, None)
        schemas["Problem"] = _PROBLEM
        description["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{"token": []}, {}]  # on a loopback address the second: nothing
        app.openapi_schema = description
    return app.openapi_schema


def _refine(operation: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)  # the framework's own shape, which we never answer
    operation["responses"] |= {
        "4XX": _refused(no_encontrado=_MISSING, no_completado=_EARLY, mostrador_fallido=_FAILED),
        "5XX": _refused(ocupado=_BUSY),
    }
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "mostrador":
            required = parameter["required"]
            parameter["schema"] = {"type": "string", "pattern": ID_PATTERN}
            if not required:
                parameter["schema"] = {"anyOf": [parameter["schema"], {"type": "null"}]}
