"""What the parts of a workspace's API have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Answer = tuple[int, Any]
"""A status, and what is sent as JSON."""


class Call(NamedTuple):
    """A request: the match of its path, its query and its body."""

    match: re.Match[str]
    query: Mapping[str, str]
    body: Mapping[str, Any]


Respond = Callable[[Call], Answer]

Route = tuple[str, re.Pattern[str], Respond]
"""A method, a pattern of whole paths, and who answers."""


def build_route(method: str, path: str, respond: Respond) -> Route:
    return method, re.compile(path), respond


def error_answer(status: int, error_code: str, message: str) -> Answer:
    """Return an error as the workspace's API has it."""
    return status, {"error_code": error_code, "message": message}
