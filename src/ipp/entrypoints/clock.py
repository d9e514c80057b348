"""What every process takes from the world: this moment, and an id that no job has."""

from __future__ import annotations

import datetime as dt
import secrets


def utc_now() -> dt.datetime:
    """This moment, to the millisecond that is stored."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(microsecond=now.microsecond // 1_000 * 1_000)


def new_job_id() -> str:
    """An id that no job has."""
    return f"ipp-{secrets.token_hex(3)}-{secrets.token_hex(3)}"
