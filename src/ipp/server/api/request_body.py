"""Read JSON bodies strictly: size, encoding, unique keys, no unknown fields."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ipp.errors import MAX_NAMED
from ipp.server.api.problem_response import BodyError, TooLargeError

MAX_BODY_BYTES: Final = 1 << 20
"""Larger bodies are rejected."""

MAX_DIGITS: Final = 40
"""Longest number parsed as an int; an id has ten digits."""

_LONG_NUMBER: Final = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")

BodyModel = TypeVar("BodyModel", bound=BaseModel)

_REASON_BY_ERROR: Final = {
    "extra_forbidden": "no se conoce este campo",
    "missing": "falta",
    "int_type": "debe ser un número entero",
    "float_type": "debe ser un número",
    "finite_number": "debe ser un número finito",
    "string_type": "debe ser un texto",
    "bool_type": "debe ser true o false",
    "list_type": "debe ser una lista",
    "model_type": "debe ser un objeto",
    "date_from_datetime_parsing": "debe ser una fecha aaaa-mm-dd",
    "date_type": "debe ser una fecha aaaa-mm-dd",
}


async def read_body(request: Request, model: type[BodyModel]) -> BodyModel:
    """Read a JSON body into ``model``; an absent body counts as an empty object.

    Raises `TooLargeError`, and `BodyError` naming every invalid field.
    """
    raw = await _read_bytes(request)
    try:
        content = _parse(raw.decode("utf-8")) if raw else {}
    except UnicodeDecodeError:
        raise BodyError([("", "el cuerpo no es UTF-8")]) from None
    except (ValueError, RecursionError):
        raise BodyError([("", "el cuerpo no es JSON")]) from None
    if not isinstance(content, dict):
        raise BodyError([("", "el cuerpo debe ser un objeto JSON")])
    return check_body(content, model)


def check_body(content: dict[str, Any], model: type[BodyModel]) -> BodyModel:
    """Validate the fields of a body. Raises `BodyError` naming every invalid one."""
    unknown = list(_unknown_fields(content, model))
    # The model would build one error for each of a hundred thousand unknown fields.
    if len(unknown) > MAX_NAMED:
        reason = _REASON_BY_ERROR["extra_forbidden"]
        raise BodyError(
            [(field, reason) for field in unknown[:MAX_NAMED]], more=len(unknown) - MAX_NAMED
        )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise BodyError(
            [
                (_field_path(e["loc"]), _field_reason(e))
                for e in error.errors(include_url=False, include_input=False)
            ]
        ) from None


def _unknown_fields(
    content: dict[str, Any], model: type[BaseModel], within: str = ""
) -> Iterator[str]:
    for name, value in content.items():
        known = model.model_fields.get(name)
        if known is None:
            yield f"{within}{name}"
        elif (
            isinstance(value, dict)
            and isinstance(known.annotation, type)
            and issubclass(known.annotation, BaseModel)
        ):
            yield from _unknown_fields(value, known.annotation, f"{within}{name}.")


async def _read_bytes(request: Request) -> bytes:
    raw = bytearray()
    try:
        async for part in request.stream():
            raw += part
            if len(raw) > MAX_BODY_BYTES:
                raise TooLargeError("El cuerpo pasa de 1 MiB.", hint="Divida la petición.")
    except ClientDisconnect:  # A client that disconnects is not a server error.
        raise BodyError([("", "el cuerpo no llegó completo")]) from None
    return bytes(raw)


def body_schema(
    model: type[BaseModel], example: dict[str, Any], *, required: bool = True
) -> dict[str, Any]:
    """Return the OpenAPI description of a body that `read_body` reads."""
    schema = _inline_references(model.model_json_schema())
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": required, "content": content}}


def _inline_references(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with its ``$ref`` references replaced by what they name."""
    parts = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            return (
                put(parts[name])
                if name in parts
                else {key: put(inner) for key, inner in value.items()}
            )
        return [put(inner) for inner in value] if isinstance(value, list) else value

    whole: dict[str, Any] = put(schema)
    return whole


def _parse(text: str) -> Any:
    # The parser's own int is several times faster, so the check runs only for long numbers.
    read_number = _read_number if _LONG_NUMBER.search(text) else int
    return json.loads(
        text, object_pairs_hook=_unique_keys, parse_constant=_reject_constant, parse_int=read_number
    )


def _read_number(digits: str) -> int | float:
    """Parse an integer, one too long for any field as a float: ``int`` is quadratic in digits."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        times = Counter(key for key, _ in pairs)
        raise BodyError([(key, "está dos veces") for key, count in times.items() if count > 1])
    return unique


def _reject_constant(name: str) -> Any:
    raise BodyError([("", f"{name} no es JSON")])


def _field_path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _field_reason(error: Any) -> str:
    if error["type"] in {"greater_than_equal", "less_than_equal"}:
        limit = next(iter(error["ctx"].values()))
        relation = "al menos" if error["type"] == "greater_than_equal" else "a lo más"
        return f"debe ser {relation} {limit:,.15g}"
    return _REASON_BY_ERROR.get(error["type"], "no es un valor posible")
