"""Opaque cursor into a caller's list of jobs, rejected if edited or another caller's."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import re
from typing import Final

from ipp.jobs.job import Job
from ipp.jobs.job_store import JobCursor
from ipp.server.api.problem_response import BodyError

_CURSOR_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]*")


def write_cursor(job: Job, sub: str) -> str:
    """Return the cursor after ``job`` in the list of ``sub``."""
    content = [job.created_at.isoformat(), job.job_id]
    text = json.dumps([*content, _checksum(content, sub)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str, sub: str) -> JobCursor:
    """Return the position that `write_cursor` wrote for the same ``sub``.

    Raises `BodyError` for anything else.
    """
    try:
        moment, job_id, checksum = json.loads(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        )
        if checksum != _checksum([moment, job_id], sub) or not _CURSOR_PATTERN.fullmatch(text):
            raise ValueError  # The base64 decoder drops foreign characters.
        created_at = dt.datetime.fromisoformat(moment)
        if created_at.tzinfo is None or created_at.microsecond % 1_000:
            raise ValueError  # Jobs are created at whole milliseconds in UTC.
        return JobCursor(created_at, job_id)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BodyError(
            [("cursor", "no es uno que se haya dado: empiece la lista otra vez")]
        ) from None


def _checksum(content: list[str], sub: str) -> str:
    """Return a checksum; unkeyed, as a forged cursor only reaches the caller's own list."""
    return hashlib.sha256(json.dumps([*content, sub]).encode()).hexdigest()[:16]
