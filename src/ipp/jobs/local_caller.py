"""The person at this machine, as the caller of the job service."""

from __future__ import annotations

import getpass
from typing import Final

from ipp.jobs.job import JobOwner
from ipp.jobs.job_service import Caller

LOCAL_SUB: Final = "local"
"""The ``sub`` of the local user."""


def local_caller(*, admin: bool = False) -> Caller:
    """Return the local user; a process that can write the home's files may be ``admin``."""
    name = _login_name()
    return Caller(JobOwner(sub=LOCAL_SUB, username=name, name=name), admin=admin, local=True)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return LOCAL_SUB  # A container's user may have no name.
