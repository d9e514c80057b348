"""Build the application of a command from the environment."""

from __future__ import annotations

import os

from ipp.entrypoints.local_wiring import Application, build_application


def open_application() -> Application:
    """Build the adapters that the environment configures, and delete dead processes' scratch."""
    application = build_application(os.environ)
    application.runner.scratch.remove_abandoned()
    return application
