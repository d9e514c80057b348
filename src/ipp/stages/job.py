"""What a stage works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ipp.files.base import Files
from ipp.files.scratch import Scratch
from ipp.lakehouse.base import Lakehouse

Progress = Callable[[int], None]
"""Called with each mostrador as it is done."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a stage reads and writes."""

    lakehouse: Lakehouse
    files: Files
    scratch: Scratch
