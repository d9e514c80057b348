"""What a command works with, built from the environment."""

from __future__ import annotations

import os

from ipp.entrypoints.local_wiring import Application, build_application


def open_application() -> Application:
    """Build the adapters that the environment asks for, and take away what dead processes left half-way."""
    made = build_application(os.environ)
    made.runner.scratch.remove_abandoned()
    return made
