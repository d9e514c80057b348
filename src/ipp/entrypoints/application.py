"""Build the application of a command from the environment."""

from __future__ import annotations

from ipp.entrypoints.local_wiring import Application, build_application
from ipp.settings import Settings


def open_application() -> Application:
    """Build the adapters that the environment configures, and delete dead processes' scratch.

    Raises `InvalidInputError` for an invalid setting.
    """
    application = build_application(Settings.from_environment())
    application.runner.scratch.remove_abandoned()
    return application
