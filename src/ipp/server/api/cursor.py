"""Opaque cursors into lists, rejected if edited or if they are of another caller or query."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from ipp.jobs.job import Job
from ipp.jobs.job_store import JobCursor
from ipp.server.api.problem_response import BodyError

_MAX_POSITION: Final = 10**12
"""Largest position in any list; every id is below it."""

_CHECKSUM_DIGITS: Final = 16


def write_job_cursor(job: Job, sub: str) -> str:
    """Return the cursor after ``job`` in the list of ``sub``."""
    return _encode([job.created_at.isoformat(), job.job_id], [sub])


def read_job_cursor(text: str, sub: str) -> JobCursor:
    """Return the place that `write_job_cursor` wrote for the same ``sub``.

    Raises `BodyError` for anything else.
    """
    match _decode(text, [sub]):
        case [str(moment), str(job_id)]:
            created_at = _parse_moment(moment)
            # Jobs are created at whole milliseconds in UTC.
            if created_at and created_at.tzinfo and created_at.microsecond % 1_000 == 0:
                return JobCursor(created_at, job_id)
    raise _foreign_cursor()


def write_position(position: int, *query: str | None) -> str:
    """Return a cursor to ``position`` in the list of ``query``, which names the caller."""
    return _encode([position], query)


def read_position(text: str, *query: str | None) -> int:
    """Return the position that `write_position` wrote for the same ``query``.

    Raises `BodyError` for anything else.
    """
    match _decode(text, query):
        # JSON's true is an int to Python.
        case [int(position)] if type(position) is int and 0 <= position <= _MAX_POSITION:
            return position
    raise _foreign_cursor()


def write_change_cursor(changed_at: str, change_id: str, *query: str | None) -> str:
    """Return the cursor after a change in the list of ``query``, which names the caller."""
    return _encode([changed_at, change_id], query)


def read_change_cursor(text: str, *query: str | None) -> tuple[str, str]:
    """Return the moment and the id that `write_change_cursor` wrote for the same ``query``.

    Raises `BodyError` for anything else.
    """
    match _decode(text, query):
        case [str(changed_at), str(change_id)]:
            return changed_at, change_id
    raise _foreign_cursor()


def _encode(place: Sequence[Any], query: Sequence[str | None]) -> str:
    """Return ``place`` and a checksum of it and of ``query`` as text for an address.

    The checksum has no key: a forged cursor only reaches what its caller may read.
    """
    checksum = hashlib.sha256(json.dumps([*place, *query]).encode()).hexdigest()
    text = json.dumps([*place, checksum[:_CHECKSUM_DIGITS]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str, query: Sequence[str | None]) -> Sequence[Any] | None:
    """Return the place that `_encode` wrote for the same ``query``, None for any other text."""
    try:
        *place, _ = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        # Compare the exact text, because base64 and JSON can spell the same value in several ways.
        return place if text == _encode(place, query) else None
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None


def _parse_moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def _foreign_cursor() -> BodyError:
    return BodyError([("cursor", "no es uno que se haya dado para esta lista: empiécela otra vez")])
