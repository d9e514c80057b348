"""The Lambdas' code as `make package` lays it out, but for this machine: copied from what is installed here."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from infra import package

ALONE = (sys.executable, "-I", "-S", "-c")
"""A Python that has its own library and nothing that is installed, until it is told where to look."""


def locked() -> dict[str, str]:
    """The version of each distribution that the lock names."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", package.LOCK.read_text(), re.MULTILINE))


def lay_out(folder: Path) -> None:
    """Make ``folder`` hold the locked distributions, as they are installed here, and our wheel's content."""
    _copy(locked(), folder)
    wheels = folder.with_name("wheels")
    wheels.mkdir()
    package.finish(folder, package.wheel(wheels))


def alone(folder: Path, code: str) -> tuple[str, ...]:
    """The command of a Python that runs ``code`` with nothing but its own library and ``folder``."""
    return (*ALONE, f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}")


def runtime(folder: Path, below: Path) -> tuple[str, ...]:
    """The command of Lambda's runtime for the code in ``folder``; itself it lies in ``below``, which is made."""
    _copy(("awslambdaric", "simplejson", "snapshot-restore-py"), below)
    code = (
        f"sys.path.append({str(below)!r})\nfrom awslambdaric.__main__ import main; main(sys.argv)"
    )
    return alone(folder, code)


def _copy(names: Iterable[str], folder: Path) -> None:
    """Lay out distributions as they are installed here, without what was compiled here."""
    for name in names:
        for file in distribution(name).files or ():
            if file.parts[0] == ".." or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
