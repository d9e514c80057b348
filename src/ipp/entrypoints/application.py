"""What a command works with, built from the environment."""

from __future__ import annotations

import os

from ipp.entrypoints.local_wiring import Application, bootstrap


def application() -> Application:
    """Build the adapters that the environment asks for, and take away what dead processes left half-way."""
    made = bootstrap(os.environ)
    made.workspace.scratch.sweep()
    return made
