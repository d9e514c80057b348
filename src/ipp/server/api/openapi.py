"""Complete the OpenAPI description that FastAPI generates."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ipp.server.api.problem_response import PROBLEM_MEDIA_TYPE

ID_PATTERN: Final = "^0*[1-9][0-9]{0,9}$"
"""Pattern of a counter number as text."""

_TEXT_SCHEMA: Final = {"type": "string"}
_PROBLEM_SCHEMA: Final = {
    "title": "Problem",
    "description": "RFC 9457, con `error` y `message` del documento fundador.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "error", "message"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "instance", "error", "message"), _TEXT_SCHEMA),
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": _TEXT_SCHEMA, "reason": _TEXT_SCHEMA},
            },
        },
    },
}


def _refusal_schema(**examples: dict[str, Any]) -> dict[str, Any]:
    values = {name: {"value": content} for name, content in examples.items()}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "Lo que no se pudo hacer, y por qué.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "examples": values}},
    }


_NOT_FOUND_EXAMPLE: Final = {
    "type": "urn:ipp:problema:no_encontrado",
    "title": "No encontrado",
    "status": 404,
    "detail": "Job no encontrado. Revise el job_id ipp-abc123-def456.",
    "instance": "/ipp/status/ipp-abc123-def456",
    "error": "Job no encontrado",
    "message": "Job no encontrado. Revise el job_id ipp-abc123-def456.",
}
_NOT_COMPLETED_EXAMPLE: Final = {
    "type": "urn:ipp:problema:proceso_no_completado",
    "title": "Conflicto",
    "status": 409,
    "detail": "Proceso no completado. Su estado es JOB1_RUNNING.",
    "instance": "/ipp/results/ipp-abc123-def456",
    "error": "Proceso no completado",
    "message": "Proceso no completado. Su estado es JOB1_RUNNING.",
    "job_status": "JOB1_RUNNING",
}
_COUNTER_FAILED_EXAMPLE: Final = {
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
_BUSY_EXAMPLE: Final = {
    "type": "urn:ipp:problema:ocupado",
    "title": "Servicio no disponible",
    "status": 503,
    "detail": "Otro proceso está escribiendo la tabla configuraciones. "
    "Espere a que termine y repita.",
    "instance": "/configuraciones/7051602",
    "error": "Otro proceso está escribiendo la tabla configuraciones.",
    "message": "Otro proceso está escribiendo la tabla configuraciones. "
    "Espere a que termine y repita.",
}


def describe_api(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of ``app`` with problem responses and id patterns."""
    if app.openapi_schema is None:
        description = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for path in description["paths"].values():
            for operation in path.values():
                _refine_operation(operation)
        schemas = description.setdefault("components", {}).setdefault("schemas", {})
        for framework in ("HTTPValidationError", "ValidationError"):
            schemas.pop(framework, None)
        schemas["Problem"] = _PROBLEM_SCHEMA
        description["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        description["security"] = [{"token": []}, {}]  # {}: no token is needed on loopback.
        app.openapi_schema = description
    return app.openapi_schema


def _refine_operation(operation: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)  # FastAPI's own error format is never sent.
    operation["responses"] |= {
        "4XX": _refusal_schema(
            no_encontrado=_NOT_FOUND_EXAMPLE,
            no_completado=_NOT_COMPLETED_EXAMPLE,
            mostrador_fallido=_COUNTER_FAILED_EXAMPLE,
        ),
        "5XX": _refusal_schema(ocupado=_BUSY_EXAMPLE),
    }
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "mostrador":
            required = parameter["required"]
            parameter["schema"] = {"type": "string", "pattern": ID_PATTERN}
            if not required:
                parameter["schema"] = {"anyOf": [parameter["schema"], {"type": "null"}]}
