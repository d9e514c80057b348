"""The caller of an operation, as the author of what it changes."""

from __future__ import annotations

from ipp.jobs.job_service import Caller
from ipp.storage.change_record import Author, Door


def change_author(caller: Caller, door: Door) -> Author:
    """Return ``caller`` as the author of a change that came by ``door``."""
    user = caller.user
    return Author(user.sub, user.name or user.email or user.username or user.sub, door)
