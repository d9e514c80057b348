"""The clock and the job ids of every process."""

from __future__ import annotations

import datetime as dt
import secrets


def utc_now() -> dt.datetime:
    """Return the current moment, truncated to the milliseconds that are stored."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(microsecond=now.microsecond // 1_000 * 1_000)


def new_job_id() -> str:
    """Return a random id that no job has."""
    return f"ipp-{secrets.token_hex(3)}-{secrets.token_hex(3)}"
