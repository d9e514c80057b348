"""HTTP client for a workspace's JSON API, with retries within a budget where they are safe."""

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
from ipp.errors import RefusedError, UnavailableError
from ipp.settings import DatabricksSettings

_LOG: Final = logging.getLogger("ipp.cloud.databricks")

_UNCERTAIN_STATUSES: Final = frozenset({408, 500, 502, 503, 504})
"""HTTP statuses that leave it unknown whether the request was carried out."""

_TOO_MANY_REQUESTS: Final = 429
_AUTH_STATUSES: Final = frozenset({401, 403})
_FIRST_REDIRECT_STATUS: Final = 300
"""Statuses from 300 up are not answers; a 3xx is not from the workspace itself."""
_FIRST_CLIENT_ERROR: Final = 400

_MIN_TIMEOUT_SECONDS: Final = 1.0
"""Minimum timeout of a request, in seconds, however little of the budget remains."""

_TOKEN_PATH: Final = "/oidc/v1/token"  # noqa: S105  # an address

_RETRY_HINT: Final = "Se intentará otra vez; si se repite, revise el estado de Databricks."


@dataclass(frozen=True, slots=True)
class CallBudget:
    """Limits of one call: total seconds, attempts, and timeouts; waits double from ``first``."""

    seconds: float = 12.0
    tries: int = 4
    first: float = 0.2
    connect: float = 3.0
    read: float = 10.0


_DEADLINE: Final = ContextVar("patience", default=inf)
"""Moment, by `time.monotonic`, at which the caller of this context gives up."""


@contextmanager
def call_deadline(seconds: float) -> Iterator[None]:
    """Bound the time of all requests to a workspace in the block, together, to ``seconds``."""
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


class DatabricksRefusedError(RefusedError):
    """The workspace refused the request; ``error_code`` is its own code for why."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(f"Databricks rechazó la petición ({error_code or status}): {message}")
        self.status = status
        self.error_code = error_code


class DatabricksClient:
    """HTTP client for the workspace of ``settings``; safe for use by many threads.

    No error, log line or repr contains a credential. ``clock`` is monotonic, in seconds; ``sleep``
    waits; ``random`` adds jitter to the waits.
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
        self._random = random or Random()  # noqa: S311  # jitter, not a secret
        self._credential: Credential = (
            PersonalToken(settings.token)
            if settings.token
            else ServicePrincipalToken(self._machine_token, clock)
        )

    def get(self, path: str, **query: str) -> Mapping[str, Any]:
        """Send a GET. Raises `UnavailableError` or `DatabricksRefusedError`."""
        return self._request_with_retries("GET", path, query=query, safe=True)

    def post(self, path: str, body: Mapping[str, Any], *, safe: bool) -> Mapping[str, Any]:
        """Send a POST; ``safe`` means that the request is idempotent.

        If it is not, it is repeated only when it was certainly not carried out. Raises
        `UnavailableError` if it is unknown whether it was carried out, `DatabricksRefusedError` if
        it was not.
        """
        return self._request_with_retries("POST", path, body=body, safe=safe)

    def deadline_after(self, seconds: float) -> float:
        """Return the deadline, by this client's clock, of work that may take ``seconds``.

        It is never later than that of `call_deadline`.
        """
        return self._clock() + min(seconds, _DEADLINE.get() - time.monotonic())

    def close(self) -> None:
        """Close the connections."""
        self._http_client.close()

    @cached_property
    def _http_client(self) -> httpx2.Client:
        """Created on first use, because creating it takes longer than most requests without it."""
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
        deadline = self.deadline_after(self._budget.seconds)
        token_renewed = False
        attempts = 0
        while True:
            attempts += 1
            try:
                answer = self._request_once(method, path, query, body, deadline)
            except _NoTokenError as failure:
                error, retry = failure.error, failure.again
            else:
                if isinstance(answer, httpx2.Response):
                    if answer.status_code < _FIRST_REDIRECT_STATUS:
                        return _json_object(answer)
                    if answer.status_code in self._credential.retry_statuses and not token_renewed:
                        token_renewed = True
                        self._credential.discard_token()
                        continue
                error, retry = self._error_of(answer, path, safe=safe)
            wait = (
                error.retry_after
                if isinstance(error, UnavailableError) and error.retry_after
                else None
            )
            if wait is None:
                wait = self._budget.first * 2 ** (attempts - 1) * (0.5 + self._random.random())
            if not retry or attempts >= self._budget.tries or self._clock() + wait >= deadline:
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
        """Send one request within the remaining budget. Raises `_NoTokenError`.

        A transport error is returned, not raised.
        """
        headers = {"Authorization": f"Bearer {self._credential.current_token()}"}
        remaining = max(_MIN_TIMEOUT_SECONDS, until - self._clock())
        timeout = httpx2.Timeout(
            min(self._budget.read, remaining), connect=min(self._budget.connect, remaining)
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
        """Return the error for a failed request, and whether to retry."""
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
        retry_after = _parse_retry_after(answer.headers.get("retry-after"))
        if status == _TOO_MANY_REQUESTS:
            return UnavailableError(
                "Databricks está atendiendo demasiadas peticiones.",
                hint=_RETRY_HINT,
                retry_after=retry_after,
            ), True
        if status in _UNCERTAIN_STATUSES:
            return UnavailableError(
                f"Databricks respondió {status}.", hint=_RETRY_HINT, retry_after=retry_after
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
        """Fetch a token of the service principal and its lifetime in seconds.

        Raises `_NoTokenError`.
        """
        settings = self._settings
        answer: httpx2.Response | httpx2.TransportError
        try:
            answer = self._http_client.post(
                settings.url + _TOKEN_PATH,
                data={"grant_type": "client_credentials", "scope": "all-apis"},
                auth=(settings.client_id, settings.client_secret),
            )
        except httpx2.TransportError as failure:
            answer = failure
        if not isinstance(answer, httpx2.Response) or answer.status_code in _UNCERTAIN_STATUSES | {
            _TOO_MANY_REQUESTS
        }:
            raise _NoTokenError(*self._error_of(answer, _TOKEN_PATH, safe=True)) from None
        content = _json_object(answer)
        if answer.status_code != 200 or "access_token" not in content:
            error = UnavailableError(
                f"Databricks no dio un token a IPP ({content.get('error', answer.status_code)}).",
                hint="Quien opera IPP debe revisar client_id y client_secret"
                " en el secreto de Databricks.",
            )
            raise _NoTokenError(error, again=False)
        return str(content["access_token"]), float(content.get("expires_in", 0))


class _NoTokenError(Exception):
    """No token could be fetched; carries the error to raise and whether to retry."""

    def __init__(self, error: UnavailableError | DatabricksRefusedError, again: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again


def _json_object(answer: httpx2.Response) -> Mapping[str, Any]:
    """Return the JSON object of a response; empty if it has none."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _parse_retry_after(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, or None.

    A date, which Databricks does not send, counts as absent.
    """
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
