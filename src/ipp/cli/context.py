"""What a command works with, built from the environment."""

from __future__ import annotations

import os

from ipp.bootstrap import Application, bootstrap


def application() -> Application:
    """Build the adapters that the environment asks for."""
    return bootstrap(os.environ)
