"""Requests that a fuzz run sends, each from its seed and number alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.fuzz.mutation import mutate_bytes, mutate_file, mutate_json
from tests.fuzz.seed_file import seed_files

KINDS = (*("workbook", "csv", "parquet") * 2, "json", "form")
"""The kinds of cases; files of each writer come twice as often as bodies and forms."""

UPLOAD_PATHS = ("/ajustes/importar", "/nuevo/archivo")
_SUFFIXES = {"workbook": (".xlsx", ".xls"), "csv": (".csv",), "parquet": (".parquet",)}
_CONFIGURATION = {"tipo_inventario": "SPP", "monto_deseado": 1.5, "incluye_otc": True}
_BODIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/ipp/validate-clients", {"mostradores": ["7051602"], "mode": "manual"}),
    # Nothing that is started may be accepted, or its stages would be measured too.
    ("POST", "/ipp/start", {"mostradores": ["999"], "parametros": {"joroba": True}}),
    ("POST", "/configuraciones", {"mostrador": 7_051_602, **_CONFIGURATION}),
    ("PUT", "/configuraciones/7051602", _CONFIGURATION),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A request; a ``form`` repeats the page's token in place of TOKEN."""

    number: int
    kind: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def build_case(seed: int, number: int, kind: str = "") -> Case:
    """Build the case ``number`` of the run ``seed``, of ``kind`` or in turn of each."""
    rng = Random(f"{seed} {number}")
    kind = kind or KINDS[number % len(KINDS)]
    if kind == "json":
        method, path, document = rng.choice(_BODIES)
        headers = {"content-type": "application/json"}
        return Case(number, kind, method, path, headers, mutate_json(document, rng))
    path = rng.choice(UPLOAD_PATHS)
    if kind == "form":
        name, content = rng.choice(sorted(seed_files().items()))
        body = _mutate_form(_build_form(name, content[:3_000]), rng)
        boundary = rng.choice(("limite", "limite", "limite", "otro", '"limite"', ""))
        media = rng.choice(("multipart/form-data",) * 4 + ("application/x-www-form-urlencoded",))
        headers = {"content-type": f"{media}; boundary={boundary}"}
        return Case(number, kind, "POST", path, headers, body)
    names = [name for name in sorted(seed_files()) if name.endswith(_SUFFIXES[kind])]
    name = rng.choice(names)
    body = _build_form(name, mutate_file(name, seed_files()[name], rng))
    return Case(
        number, kind, "POST", path, {"content-type": "multipart/form-data; boundary=limite"}, body
    )


def _build_form(name: str, content: bytes) -> bytes:
    """Return the form by which a browser sends a file."""
    field = b'--limite\r\nContent-Disposition: form-data; name="sello"\r\n\r\nTOKEN\r\n'
    head = f'--limite\r\nContent-Disposition: form-data; name="archivo"; filename="{name}"\r\n\r\n'
    return field + head.encode() + content + b"\r\n--limite--\r\n"


def _mutate_form(body: bytes, rng: Random) -> bytes:
    trick = rng.random()
    if trick < 0.2:
        part = b'--limite\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        return part * rng.choice((10, 999, 1_001, 15_000)) + body
    if trick < 0.3:
        part = (
            b'--limite\r\nContent-Disposition: form-data; name="archivo"; filename="a"\r\n\r\n1\r\n'
        )
        return part * rng.choice((2, 999, 1_001, 10_000)) + body
    if trick < 0.4:
        return body.replace(b"form-data;", b"form-data; " + b"x=y; " * rng.choice((5, 20_000)))
    if trick < 0.5:
        return body.replace(b"filename=", b"filename*=utf-8''%00%ff; filename=")
    return mutate_bytes(body, rng)
