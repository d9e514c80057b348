"""Build the wheel that the Databricks jobs install, which requires nothing.

    python infra/stage_wheel.py FOLDER

The jobs install requirements/databricks.txt beside it, which has all that a stage imports. By what
the wheel of `ipp` requires, pip would add what serves pages to every start, in versions that nobody
has tested.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build(folder: Path) -> Path:
    """Build the wheel into ``folder``, delete older ones there, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", name]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # what is above, no more
        (made,) = Path(name).glob("*.whl")
        return strip_requirements(made, folder / made.name)


def strip_requirements(wheel: Path, stripped: Path) -> Path:
    """Write a copy of ``wheel`` without what it requires and its extras; return its path."""
    with zipfile.ZipFile(wheel) as archive:
        files = {entry: archive.read(entry) for entry in archive.infolist()}
    metadata, record = (_find(list(files), name) for name in ("METADATA", "RECORD"))
    headers, blank, description = files[metadata].partition(b"\n\n")
    kept = [
        line
        for line in headers.splitlines()
        if not line.startswith((b"Requires-Dist:", b"Provides-Extra:"))
    ]
    files[metadata] = b"\n".join(kept) + blank + description
    rows = [
        _record_row(metadata.filename, files[metadata])
        if row.startswith(f"{metadata.filename},")
        else row
        for row in files[record].decode().splitlines()
    ]
    files[record] = "".join(f"{row}\n" for row in rows).encode()
    with zipfile.ZipFile(stripped, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in files.items():
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return stripped


def _find(entries: list[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    (found,) = [entry for entry in entries if entry.filename.endswith(f".dist-info/{name}")]
    return found


def _record_row(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}"


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]))}\n")
