"""Builds what a process needs from its settings: the only module that knows every adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ipp.files.local import LocalFiles
from ipp.lakehouse.delta import DeltaLakehouse
from ipp.settings import Settings
from ipp.stages import Workspace


@dataclass(frozen=True, slots=True)
class Application:
    """A process's adapters, ready to use."""

    workspace: Workspace
    rejections: Path
    home: Path


def bootstrap(environ: Mapping[str, str]) -> Application:
    """Read the settings and build the adapters.

    Raises `InvalidInputError` for a setting that cannot be used.
    """
    settings = Settings.from_environment(environ)
    return Application(
        workspace=Workspace(DeltaLakehouse(settings.lakehouse), LocalFiles(settings.files)),
        rejections=settings.rejections,
        home=settings.home,
    )
