"""Seeded mutations of files: of their bytes, of the parts of an archive, of texts and of JSON."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

from tests.books import replace_parts, restate_size

MAX_BYTES = 1 << 20
_NUMBERS = ("0", "-1", "1048576", "1048577", "16384", "2147483648", "9" * 30, "1e308", "NaN", "")
_REFERENCES = ("XFD1048576", "A1048576", "XFD1", "A0", "AAAA1", "A99999999999", "1A", "")
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "utf-32", "cp037")
_FRAGMENTS = (
    b"\0", b"\xff\xfe", b'"', b"'", b"\n", b"\r", b",", b";", b"\t", b"<!--", b"-->", b"<c", b"<c>",
    b"<c r='A1'>", b"<![CDATA[", b"]]>", b"&#0;", b"&lol;", b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"</sheetData>", b"<row>", b"PK\3\4", b"PK\5\6", b"PAR1", "\ufeff\u200b\u2028".encode(),
    b"1,234.5", b"=1+1", b"999999999999999999999",
)  # fmt: skip


def flip_bits(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] if rng.random() < 0.7 else content[at:]


def repeat_piece(content: bytes, rng: Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice((1, 10, 100, 5_000))]
    times = rng.choice((2, 50, 5_000, 200_000))
    return (content[:start] + piece * times + content[start:])[:MAX_BYTES]


def insert_fragment(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    times = rng.choice((1, 1, 1, 50, 20_000))
    return (content[:at] + rng.choice(_FRAGMENTS) * times + content[at:])[:MAX_BYTES]


def overwrite_range(content: bytes, rng: Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    length = rng.choice((1, 2, 4, 8, 200))
    filling = rng.choice((b"\0", b"\xff", b"\x7f", rng.randbytes(1))) * length
    return content[:start] + filling + content[start + length :]


BYTE_MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    flip_bits, truncate, repeat_piece, insert_fragment, overwrite_range,
)  # fmt: skip


def mutate_bytes(content: bytes, rng: Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = rng.choice(BYTE_MUTATIONS)(content, rng)
    return content[:MAX_BYTES]


def mutate_xml(content: bytes, rng: Random) -> bytes:
    """Change numbers, places, tags and attributes, or the bytes."""
    pattern, choices = rng.choice(
        (
            (rb'"\d+"', [f'"{n}"'.encode() for n in _NUMBERS]),
            (rb">\d[^<]*<", [f">{n}<".encode() for n in _NUMBERS]),
            (rb'r="[A-Z]+\d+"', [f'r="{r}"'.encode() for r in _REFERENCES]),
            (rb't="\w+"', [b't="s"', b't="e"', b't="b"', b't="str"', b't="zz"', b""]),
            (rb"</?\w[^>]*>", [b"", b"<c>", b"<c r='B2'/>", b"</row>", b"<f>1</f>", b"<v>"]),
        )
    )
    found = list(re.finditer(pattern, content))
    if not found or rng.random() < 0.2:
        return mutate_bytes(content, rng)
    for match in sorted(
        rng.sample(found, min(len(found), rng.choice((1, 3)))), key=_end, reverse=True
    ):
        content = content[: match.start()] + rng.choice(choices) + content[match.end() :]
    return content


def _end(match: re.Match[bytes]) -> int:
    return match.end()


def mutate_archive(content: bytes, rng: Random) -> bytes:
    """Change, remove, repeat or swell parts of a zip, or state another size of one."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        parts = {name: archive.read(name) for name in names}
    name = rng.choice([n for n in names if "sheet" in n or "content" in n] * 4 + names)
    trick = rng.random()
    if trick < 0.6:
        return replace_parts(content, {name: mutate_xml(parts[name], rng)})
    if trick < 0.7:
        return restate_size(content, name, rng.choice((0, 1, 1_000, 1 << 31, (1 << 32) - 1)))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for other, part in parts.items():
            if other != name or trick < 0.8:
                new.writestr(other, part)
        if trick < 0.9:
            spare = rng.choice(
                (name.upper(), f"../{name}", "xl/sobra.xml", name.replace("/", "\\"))
            )
            new.writestr(spare, b" " * rng.choice((10, 1 << 20, 40 << 20)))
    return target.getvalue()


def mutate_text(content: bytes, rng: Random) -> bytes:
    """Write a text in another encoding, or swell one of its lines, cells or quotes."""
    encoding = "utf-16" if content[:2] == b"\xff\xfe" else "utf-8-sig"
    text = content.decode(encoding, "replace")
    lines = text.split("\r\n")
    at = rng.randrange(len(lines))
    lines[at] = rng.choice(
        (
            lines[at] + "," * rng.choice((1, 100, 20_000)),
            lines[at] * rng.choice((2, 300)),
            '"' + lines[at],
            lines[at] + "\n" * 3,
            "x" * rng.choice((300, 40_000, 900_000)),
            rng.choice(_NUMBERS),
            "",
        )
    )
    text = rng.choice(("\r\n", "\n", "\r")).join(lines * rng.choice((1, 1, 200)))
    return text.encode(rng.choice(_ENCODINGS), "replace")[:MAX_BYTES]


def mutate_file(name: str, content: bytes, rng: Random) -> bytes:
    """Mutate a file by its kind; one in four only by its bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(content, rng)
    if name.endswith(".xlsx"):
        return mutate_archive(content, rng)[:MAX_BYTES]
    return mutate_text(content, rng) if name.endswith(".csv") else mutate_bytes(content, rng)


def build_value(rng: Random, depth: int = 0) -> Any:
    """Build any JSON value."""
    kinds: list[Callable[[], Any]] = [
        lambda: rng.choice((None, True, False, 0, -1, 7_051_602, 10**40, 1e308, 0.1, -0.0)),
        lambda: rng.choice(
            ("", "7051602", "0" * 400, "1" * 5_000, "\ud800", "\0", "ñ" * 300, "1e9")
        ),
    ]
    if depth < 4:
        kinds += [
            lambda: [build_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 5)))],
            lambda: [7_051_602] * rng.choice((1, 9_999, 10_001, 60_000)),
            lambda: {
                rng.choice(("mostradores", "a", "", "parametros", "é" * 300)): build_value(
                    rng, depth + 1
                )
                for _ in range(rng.choice((0, 1, 3)))
            },
            lambda: {f"k{n}": n for n in range(rng.choice((30, 40_000)))},
        ]
    return rng.choice(kinds)()


def mutate_json(document: dict[str, Any], rng: Random) -> bytes:
    """Change some values of a body, or its text."""
    changed = dict(document)
    for _ in range(rng.choice((1, 1, 3))):
        changed[rng.choice([*document, "otro"])] = build_value(rng)
    text = json.dumps(changed).encode()
    trick = rng.random()
    if trick < 0.1:
        depth = rng.choice((500, 100_000))
        text = b'{"mostradores":' + b"[" * depth + b"]" * depth + b"}"
    elif trick < 0.2:
        text = b"{" + b",".join(b'"a%d":1' % (n % 30_000) for n in range(60_000)) + b"}"
    elif trick < 0.5:
        text = mutate_bytes(text, rng)
    return text[:MAX_BYTES]
