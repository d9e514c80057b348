"""A workspace's API: JSON in, JSON out, repeated within a budget where repeating is safe."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from math import inf
from random import Random
from typing import Any, Final

import httpx2

from ipp.cloud.databricks.credential import Credential, PersonalToken, ServicePrincipalToken
from ipp.cloud.databricks.workspace_settings import DatabricksSettings
from ipp.errors import RefusedError, UnavailableError

_LOG: Final = logging.getLogger("ipp.cloud.databricks")

_UNCERTAIN_STATUSES: Final = frozenset({408, 500, 502, 503, 504})
"""Answers after which it is not known whether what was asked was done."""

_TOO_MANY_REQUESTS: Final = 429
_AUTH_STATUSES: Final = frozenset({401, 403})
_FIRST_REDIRECT_STATUS: Final = 300
"""From here on an answer is none: first those of whoever is not the workspace and sends us on."""
_FIRST_CLIENT_ERROR: Final = 400

_MIN_TIMEOUT_SECONDS: Final = 1.0
"""Seconds that an answer is waited for at least."""

_TOKEN_PATH: Final = "/oidc/v1/token"  # noqa: S105  # an address

_RETRY_HINT: Final = "Se intentará otra vez; si se repite, revise el estado de Databricks."


@dataclass(frozen=True, slots=True)
class CallBudget:
    """How long one call may take in all, seconds, and how often it is tried; waits double from ``first``."""

    seconds: float = 12.0
    tries: int = 4
    first: float = 0.2
    connect: float = 3.0
    read: float = 10.0


_DEADLINE: Final = ContextVar("patience", default=inf)
"""The moment, by `time.monotonic`, at which whoever waits for this thread's work gives up."""


@contextmanager
def call_deadline(seconds: float) -> Iterator[None]:
    """Have whatever is asked of a workspace in the block, however often, answered or given up in ``seconds``."""
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


class DatabricksRefusedError(RefusedError):
    """The workspace understood and refused; ``error_code`` is its own word for why."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(f"Databricks rechazó la petición ({error_code or status}): {message}")
        self.status = status
        self.error_code = error_code


class DatabricksClient:
    """Asks the workspace of ``settings``; one may be used by many threads.

    No text that comes of it, error, log or repr, has a credential in it. ``clock`` gives seconds that only rise,
    ``sleep`` waits, ``random`` spreads waits.
    """

    def __init__(
        self,
        settings: DatabricksSettings,
        *,
        budget: CallBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._budget = budget or CallBudget()
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()  # noqa: S311  # spreads waits
        self._credential: Credential = (
            PersonalToken(settings.token)
            if settings.token
            else ServicePrincipalToken(self._machine_token, clock)
        )

    def get(self, path: str, **query: str) -> Mapping[str, Any]:
        """The answer to a question. Raises `UnavailableError` or `DatabricksRefusedError`."""
        return self._request_with_retries("GET", path, query=query, safe=True)

    def post(self, path: str, body: Mapping[str, Any], *, safe: bool) -> Mapping[str, Any]:
        """Ask that something be done; ``safe`` tells that asking twice does it once.

        Where it is not safe, it is repeated only where it certainly did not arrive. Raises `UnavailableError` where it
        is not known whether it was done, `DatabricksRefusedError` where it was not.
        """
        return self._request_with_retries("POST", path, body=body, safe=safe)

    def deadline_after(self, seconds: float) -> float:
        """The moment, by this client's clock, until which something may take that takes at most ``seconds``."""
        return self._clock() + min(seconds, _DEADLINE.get() - time.monotonic())

    def close(self) -> None:
        """Let go of the connections."""
        self._http_client.close()

    @cached_property
    def _http_client(self) -> httpx2.Client:
        """Made when it is first needed: that takes longer than answering most of what needs none."""
        return httpx2.Client(
            timeout=httpx2.Timeout(self._budget.read, connect=self._budget.connect), trust_env=False
        )

    def _request_with_retries(
        self,
        method: str,
        path: str,
        *,
        safe: bool,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        self._settings.check_complete()
        until = self.deadline_after(self._budget.seconds)
        renewed = False
        tried = 0
        while True:
            tried += 1
            try:
                answer = self._request_once(method, path, query, body, until)
            except _NoTokenError as trouble:
                error, again = trouble.error, trouble.again
            else:
                if isinstance(answer, httpx2.Response):
                    if answer.status_code < _FIRST_REDIRECT_STATUS:
                        return _json_object(answer)
                    if answer.status_code in self._credential.retry_statuses and not renewed:
                        renewed = True
                        self._credential.discard_token()
                        continue
                error, again = self._error_of(answer, path, safe=safe)
            wait = (
                error.retry_after
                if isinstance(error, UnavailableError) and error.retry_after
                else None
            )
            if wait is None:
                wait = self._budget.first * 2 ** (tried - 1) * (0.5 + self._random.random())
            if not again or tried >= self._budget.tries or self._clock() + wait >= until:
                raise error
            self._sleep(wait)

    def _request_once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        until: float,
    ) -> httpx2.Response | httpx2.TransportError:
        """What comes of asking once, within what is left of the budget. Raises `_NoTokenError`."""
        headers = {"Authorization": f"Bearer {self._credential.current_token()}"}
        left = max(_MIN_TIMEOUT_SECONDS, until - self._clock())
        timeout = httpx2.Timeout(
            min(self._budget.read, left), connect=min(self._budget.connect, left)
        )
        try:
            return self._http_client.request(
                method,
                self._settings.url + path,
                params=dict(query or {}),
                json=body,
                headers=headers,
                timeout=timeout,
            )
        except httpx2.TransportError as error:
            return error

    def _error_of(
        self, answer: httpx2.Response | httpx2.TransportError, path: str, *, safe: bool
    ) -> tuple[UnavailableError | DatabricksRefusedError, bool]:
        """What to say of an answer that was none, and whether to ask again."""
        if not isinstance(answer, httpx2.Response):
            _LOG.info("databricks %s: %s", path, type(answer).__name__)
            never_sent = isinstance(
                answer, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
            )
            return UnavailableError(
                "Databricks no respondió a tiempo.", hint=_RETRY_HINT
            ), safe or never_sent
        status = answer.status_code
        _LOG.info("databricks %s: %d", path, status)
        after = _parse_retry_after(answer.headers.get("retry-after"))
        if status == _TOO_MANY_REQUESTS:
            return UnavailableError(
                "Databricks está atendiendo demasiadas peticiones.",
                hint=_RETRY_HINT,
                retry_after=after,
            ), True
        if status in _UNCERTAIN_STATUSES:
            return UnavailableError(
                f"Databricks respondió {status}.", hint=_RETRY_HINT, retry_after=after
            ), safe
        if status < _FIRST_CLIENT_ERROR:
            hint = "Quien opera IPP debe revisar DATABRICKS_WORKSPACE_URL."
            return UnavailableError(
                f"En la dirección de Databricks responde otro ({status}).", hint=hint
            ), False
        document = _json_object(answer)
        code, message = str(document.get("error_code", "")), str(document.get("message", ""))
        if status in _AUTH_STATUSES:
            hint = "Quien opera IPP debe revisar el secreto de Databricks y sus permisos."
            return UnavailableError(
                f"Databricks no acepta la credencial de IPP ({code or status}).", hint=hint
            ), False
        return DatabricksRefusedError(status, code, message), False

    def _machine_token(self) -> tuple[str, float]:
        """A token of the service principal, and the seconds that it lives. Raises `_NoTokenError`."""
        settings = self._settings
        answer: httpx2.Response | httpx2.TransportError
        try:
            answer = self._http_client.post(
                settings.url + _TOKEN_PATH,
                data={"grant_type": "client_credentials", "scope": "all-apis"},
                auth=(settings.client_id, settings.client_secret),
            )
        except httpx2.TransportError as trouble:
            answer = trouble
        if not isinstance(answer, httpx2.Response) or answer.status_code in _UNCERTAIN_STATUSES | {
            _TOO_MANY_REQUESTS
        }:
            raise _NoTokenError(*self._error_of(answer, _TOKEN_PATH, safe=True)) from None
        content = _json_object(answer)
        if answer.status_code != 200 or "access_token" not in content:
            error = UnavailableError(
                f"Databricks no dio un token a IPP ({content.get('error', answer.status_code)}).",
                hint="Quien opera IPP debe revisar client_id y client_secret en el secreto de Databricks.",
            )
            raise _NoTokenError(error, again=False)
        return str(content["access_token"]), float(content.get("expires_in", 0))


class _NoTokenError(Exception):
    """There is no token to ask with: what to say of it, and whether to try again."""

    def __init__(self, error: UnavailableError | DatabricksRefusedError, again: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again


def _json_object(answer: httpx2.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; empty where it has none."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _parse_retry_after(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header; a date, which Databricks does not send, is as none."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
