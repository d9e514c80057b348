"""What shows a workspace that it may answer us."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

_RENEW_BEFORE_SECONDS: Final = 60.0
"""Seconds before its end from which a token is not used any more."""


class Credential(Protocol):
    """Gives a bearer token; what it holds is in no text about it."""

    @property
    def retry_statuses(self) -> frozenset[int]:
        """The answers of a workspace after which it is worth asking once more, with the next token."""
        ...

    def current_token(self) -> str:
        """A token to ask with now. Raises as what it is asked of."""
        ...

    def discard_token(self) -> None:
        """The workspace did not accept the token: the next one is to be another."""
        ...


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """A token that somebody made by hand."""

    secret: str = field(repr=False)

    @property
    def retry_statuses(self) -> frozenset[int]:
        """Not to be known: perhaps it was not the token."""
        return frozenset({401})

    def current_token(self) -> str:
        """The token."""
        return self.secret

    def discard_token(self) -> None:
        """There is no other."""


class ServicePrincipalToken:
    """Tokens of a service principal, by OAuth's client credentials, each used until shortly before its end.

    ``fetch`` asks the workspace for one and gives it with the seconds that it lives. ``clock`` gives seconds that only
    rise. One may be used by many threads.
    """

    def __init__(self, fetch: Callable[[], tuple[str, float]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    @property
    def retry_statuses(self) -> frozenset[int]:
        """A token that ended is refused as 401 or as 403, by where in the workspace it is looked at."""
        return frozenset({401, 403})

    def current_token(self) -> str:
        """The token at hand, or a new one where it is about to end."""
        with self._lock:
            if self._clock() >= self._until:
                self._token, lives = self._fetch()
                self._until = self._clock() + lives - _RENEW_BEFORE_SECONDS
            return self._token

    def discard_token(self) -> None:
        """Ask for a new one the next time."""
        with self._lock:
            self._until = 0.0
