"""The protocol of what counts requests, which a function without a web framework implements too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.types import Scope


class RequestCounter(Protocol):
    """Counts answered requests."""

    def count_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered with ``status`` after ``seconds``."""
        ...
