"""Build the wheel that the Databricks jobs run, and the folder of the Lambda functions.

    python infra/package.py FOLDER

The folder holds what `requirements/lambda.txt` pins, for Lambda's platform and not this machine's,
and the wheel's content. The same sources give the same bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "lambda.txt"

PYTHON = (3, 13)
PLATFORM = "manylinux2014_aarch64"
"""The template's Runtime and Architectures, in pip's terms."""

DEPLOYED = "/var/task"
"""Where Lambda places the folder, as tracebacks show it."""

AWS_SERVICES = frozenset({"dynamodb", "s3", "secretsmanager", "ssm"})
"""The services that our code calls; botocore's descriptions of the other 400 are 20 MB."""

_UNUSED = ("bin", "ipp/server/api/static")
"""Console scripts and the documentation page, which no function serves."""

_ABOUT_THE_INSTALLATION = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""pip's records of an installation; some differ from machine to machine."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_LONG_AGO_SECONDS = 315_532_800
"""The earliest time that a zip can store, given to every file."""


def wheel(folder: Path) -> Path:
    """Build our wheel into ``folder``, delete older ones there, and return its path."""
    for old in folder.glob("ipp-*.whl"):
        old.unlink()
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (made,) = folder.glob("ipp-*.whl")
    return made


def install(folder: Path) -> None:
    """Install the locked dependencies into ``folder``, for Lambda's platform."""
    version = ".".join(map(str, PYTHON))
    platform = (
        "--platform",
        PLATFORM,
        "--python-version",
        version,
        "--implementation",
        "cp",
        "--only-binary=:all:",
    )
    _pip(
        "install",
        "--no-deps",
        "--no-compile",
        "--require-hashes",
        *platform,
        "--target",
        str(folder),
        "-r",
        str(LOCK),
    )


def finish(folder: Path, made: Path) -> None:
    """Add our wheel's content to the dependencies in ``folder``, and prepare it for Lambda.

    Delete what is not needed, and compile modules, because Lambda cannot store what it compiles.
    """
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    _trim(folder)
    _python(
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(folder),
        "-p",
        DEPLOYED,
        str(folder),
    )
    for path in files(folder):
        path.chmod(0o644)
        os.utime(path, (_LONG_AGO_SECONDS, _LONG_AGO_SECONDS))


def archived(folder: Path, path: Path) -> None:
    """Write ``folder`` as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files(folder):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def files(folder: Path) -> Iterator[Path]:
    """Return the files of a folder, in a fixed order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def megabytes(folder: Path) -> float:
    """Return the size of a folder's files, in MB."""
    return sum(path.stat().st_size for path in files(folder)) / 1e6


def _trim(folder: Path) -> None:
    for name in _UNUSED:
        shutil.rmtree(folder / name, ignore_errors=True)
    for described in (folder / "botocore" / "data").iterdir():
        if described.is_dir() and described.name not in AWS_SERVICES:
            shutil.rmtree(described)
    for about in folder.glob("*.dist-info"):
        for name in _ABOUT_THE_INSTALLATION:
            (about / name).unlink(missing_ok=True)


def _pip(*arguments: str) -> None:
    _python("-m", "pip", "--disable-pip-version-check", "-q", *arguments)


def _python(*arguments: str) -> None:
    """Run this Python interpreter with a fixed hash seed, so that builds are reproducible."""
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run((sys.executable, *arguments), check=True, env=environ)  # noqa: S603  # what is above, no more


def main(target: str) -> None:
    """Build everything into ``target``."""
    if sys.version_info[:2] != PYTHON:
        sys.exit(
            "The Lambdas run Python 3.13, and so must what compiles them: make clean, make "
            "package PYTHON=python3.13"
        )
    dist = Path(target)
    folder = dist / "lambda"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = wheel(dist)
    install(folder)
    finish(folder, made)
    archived(folder, dist / "lambda.zip")
    zipped = (dist / "lambda.zip").stat().st_size / 1e6
    sys.stdout.write(
        f"{made}, {folder} ({megabytes(folder):.1f} MB), {dist / 'lambda.zip'} ({zipped:.1f} MB)\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
