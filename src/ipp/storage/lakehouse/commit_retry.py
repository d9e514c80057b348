"""Repeat a commit to a Delta table that lost against a concurrent one."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Final

MAX_ATTEMPTS: Final = 8
"""Most attempts at a commit; the last one's error is raised."""

_FIRST_WAIT_SECONDS: Final = 1.0
_MAX_WAIT_SECONDS: Final = 30.0

_LOST_RACE_PATTERN: Final = re.compile(
    r"DELTA_CONCURRENT_|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED|ALREADY_EXISTS"
    r"|Concurrent\w+Exception|MetadataChangedException|ProtocolChangedException"
)
"""Delta's errors of a commit that lost against a concurrent one, by condition or class.

Jobs replace different partitions, which never conflict; but to create a table, or to add a new
release's column, changes its metadata, and that fails every concurrent write.
"""


def retry_lost_commits(
    commit: Callable[[], object], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Call ``commit`` until it does not lose against a concurrent one; ``sleep`` waits seconds.

    Raises its error if it is another, or after `MAX_ATTEMPTS`.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            commit()
        except Exception as error:
            if attempt == MAX_ATTEMPTS or not _LOST_RACE_PATTERN.search(_describe(error)):
                raise
        else:
            return
        wait = min(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1), _MAX_WAIT_SECONDS)
        # Writers that lost together must not meet again: each waits a different time.
        sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  # spreads writers, hides nothing


def _describe(error: Exception) -> str:
    return f"{type(error).__name__} {error}"
