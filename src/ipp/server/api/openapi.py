"""Complete the OpenAPI description that FastAPI generates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from ipp.errors import BusyError, IppError, NotFoundError
from ipp.jobs.job_service import NotCompletedError
from ipp.server.api.example_job import EXAMPLE_COUNTER, EXAMPLE_JOB_ID, STARTED_JOB
from ipp.server.api.problem_response import (
    PROBLEM_MEDIA_TYPE,
    CounterFailedError,
    Problem,
    describe_error,
)

ID_PATTERN: Final = "^0*[1-9][0-9]{0,9}$"
"""Pattern of a counter number as text."""

_SCHEMA_REFERENCE: Final = "#/components/schemas/{model}"

_NOT_FOUND_ERROR: Final = NotFoundError(
    "Job no encontrado", hint=f"Revise el job_id {EXAMPLE_JOB_ID}."
)
_NO_PRICE_ERROR: Final = CounterFailedError(EXAMPLE_COUNTER, "factor", "sin precio")
_BUSY_ERROR: Final = BusyError(
    "Otro proceso está escribiendo la tabla configuraciones.",
    hint="Espere a que termine y repita.",
)

_EXAMPLE_ERRORS: Final[Mapping[str, Mapping[str, tuple[IppError, str]]]] = {
    "4XX": {
        "no_encontrado": (_NOT_FOUND_ERROR, f"/ipp/status/{EXAMPLE_JOB_ID}"),
        "no_completado": (NotCompletedError(STARTED_JOB), f"/ipp/results/{EXAMPLE_JOB_ID}"),
        "mostrador_fallido": (_NO_PRICE_ERROR, f"/ipp/results/{EXAMPLE_JOB_ID}/rows"),
    },
    "5XX": {"ocupado": (_BUSY_ERROR, f"/configuraciones/{EXAMPLE_COUNTER}")},
}
"""Errors that are shown as examples, each with the path of its request, by class of status."""


def _describe_problems() -> dict[str, Any]:
    """Return the description of the problem responses, by class of status."""
    schema = {"$ref": _SCHEMA_REFERENCE.format(model="Problem")}
    return {
        statuses: {
            "description": "Lo que no se pudo hacer, y por qué.",
            "content": {
                PROBLEM_MEDIA_TYPE: {
                    "schema": schema,
                    "examples": {
                        name: {"value": describe_error(error, path)}
                        for name, (error, path) in errors.items()
                    },
                }
            },
        }
        for statuses, errors in _EXAMPLE_ERRORS.items()
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
        problem = TypeAdapter(Problem).json_schema(ref_template=_SCHEMA_REFERENCE)
        schemas |= {**problem.pop("$defs"), "Problem": problem}
        description["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        description["security"] = [{"token": []}, {}]  # {}: no token is needed on loopback.
        app.openapi_schema = description
    return app.openapi_schema


def _refine_operation(operation: dict[str, Any]) -> None:
    operation["responses"].pop("422", None)  # FastAPI's own error format is never sent.
    operation["responses"] |= _describe_problems()
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "mostrador":
            required = parameter["required"]
            parameter["schema"] = {"type": "string", "pattern": ID_PATTERN}
            if not required:
                parameter["schema"] = {"anyOf": [parameter["schema"], {"type": "null"}]}
