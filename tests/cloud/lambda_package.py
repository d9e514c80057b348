"""The Lambdas' code as `make package` lays it out, copied for this machine from site-packages."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from infra import package

ALONE = (sys.executable, "-I", "-S", "-c")
"""A Python with its own library and no installed packages until it is told where to look."""


def locked_versions() -> dict[str, str]:
    """Return the version of each distribution that the lock names."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", package.LOCK.read_text(), re.MULTILINE))


def lay_out(folder: Path) -> None:
    """Fill ``folder`` with the locked distributions, as installed here, and our wheel's content."""
    _copy(locked_versions(), folder)
    wheels = folder.with_name("wheels")
    wheels.mkdir()
    package.finish(folder, package.wheel(wheels))


def isolated_command(folder: Path, code: str) -> tuple[str, ...]:
    """Return the command of a Python that runs ``code`` with its own library and ``folder``."""
    return (*ALONE, f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}")


def runtime(folder: Path, below: Path) -> tuple[str, ...]:
    """Return the command of Lambda's runtime for the code in ``folder``.

    The runtime itself is copied to ``below``, which is created.
    """
    _copy(("awslambdaric", "simplejson", "snapshot-restore-py"), below)
    code = (
        f"sys.path.append({str(below)!r})\nfrom awslambdaric.__main__ import main; main(sys.argv)"
    )
    return isolated_command(folder, code)


def _copy(names: Iterable[str], folder: Path) -> None:
    """Lay out distributions as they are installed here, without what was compiled here."""
    for name in names:
        for file in distribution(name).files or ():
            if file.parts[0] == ".." or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
