"""Credentials for a Databricks workspace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from typing_extensions import override

_RENEW_BEFORE_SECONDS: Final = 60.0
"""A token is renewed this many seconds before it expires."""


class Credential(Protocol):
    """Source of bearer tokens; its secrets appear in no repr, log or error."""

    @property
    def retry_statuses(self) -> frozenset[int]:
        """HTTP statuses that justify one retry with the next token."""
        ...

    def current_token(self) -> str:
        """Return a token that is valid now, or raise the error of fetching one."""
        ...

    def discard_token(self) -> None:
        """Discard the token, because the workspace did not accept it."""
        ...


@dataclass(frozen=True, slots=True)
class PersonalToken(Credential):
    """A personal access token, created by hand."""

    secret: str = field(repr=False)

    @property
    @override
    def retry_statuses(self) -> frozenset[int]:
        """401: the cause may be something other than the token, so one retry is worthwhile."""
        return frozenset({401})

    @override
    def current_token(self) -> str:
        return self.secret

    @override
    def discard_token(self) -> None:
        """Do nothing: there is no other token."""


class ServicePrincipalToken(Credential):
    """Tokens of a service principal (OAuth client credentials), each cached until it nears expiry.

    ``fetch`` requests a token from the workspace and returns it with its lifetime in seconds.
    ``clock`` is monotonic, in seconds. Safe for use by many threads.
    """

    def __init__(self, fetch: Callable[[], tuple[str, float]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    @property
    @override
    def retry_statuses(self) -> frozenset[int]:
        """401 and 403: which one an expired token gets depends on the part of the workspace."""
        return frozenset({401, 403})

    @override
    def current_token(self) -> str:
        with self._lock:
            if self._clock() >= self._until:
                self._token, lives = self._fetch()
                self._until = self._clock() + lives - _RENEW_BEFORE_SECONDS
            return self._token

    @override
    def discard_token(self) -> None:
        with self._lock:
            self._until = 0.0
