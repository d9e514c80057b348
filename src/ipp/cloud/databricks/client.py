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

from ipp.cloud.databricks.credential import Credential, MachineToken, PersonalToken
from ipp.cloud.databricks.workspace_settings import DatabricksSettings
from ipp.errors import RefusedError, UnavailableError

_LOG: Final = logging.getLogger("ipp.cloud.databricks")

_UNSURE: Final = frozenset({408, 500, 502, 503, 504})
"""Answers after which it is not known whether what was asked was done."""

_BUSY: Final = 429
_UNKNOWN_CALLER: Final = frozenset({401, 403})
_ELSEWHERE: Final = 300
"""From here on an answer is none: first those of whoever is not the workspace and sends us on."""
_MISTAKEN: Final = 400

_LEAST: Final = 1.0
"""Seconds that an answer is waited for at least."""

_TOKEN: Final = "/oidc/v1/token"  # noqa: S105  # an address

_HINT: Final = "Se intentará otra vez; si se repite, revise el estado de Databricks."


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one call may take in all, seconds, and how often it is tried; waits double from ``first``."""

    seconds: float = 12.0
    tries: int = 4
    first: float = 0.2
    connect: float = 3.0
    read: float = 10.0


_PATIENCE: Final = ContextVar("patience", default=inf)
"""The moment, by `time.monotonic`, at which whoever waits for this thread's work gives up."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Have whatever is asked of a workspace in the block, however often, answered or given up in ``seconds``."""
    token = _PATIENCE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


class DatabricksRefusal(RefusedError):  # noqa: N818  # a refusal, with its code
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
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._budget = budget or Budget()
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()  # noqa: S311  # spreads waits
        self._credential: Credential = (
            PersonalToken(settings.token) if settings.token else MachineToken(self._machine_token, clock)
        )

    def get(self, path: str, **query: str) -> Mapping[str, Any]:
        """The answer to a question. Raises `UnavailableError` or `DatabricksRefusal`."""
        return self._call("GET", path, query=query, safe=True)

    def post(self, path: str, body: Mapping[str, Any], *, safe: bool) -> Mapping[str, Any]:
        """Ask that something be done; ``safe`` tells that asking twice does it once.

        Where it is not safe, it is repeated only where it certainly did not arrive. Raises `UnavailableError` where it
        is not known whether it was done, `DatabricksRefusal` where it was not.
        """
        return self._call("POST", path, body=body, safe=safe)

    def until(self, seconds: float) -> float:
        """The moment, by this client's clock, until which something may take that takes at most ``seconds``."""
        return self._clock() + min(seconds, _PATIENCE.get() - time.monotonic())

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    @cached_property
    def _http(self) -> httpx2.Client:
        """Made when it is first needed: that takes longer than answering most of what needs none."""
        return httpx2.Client(timeout=httpx2.Timeout(self._budget.read, connect=self._budget.connect), trust_env=False)

    def _call(
        self,
        method: str,
        path: str,
        *,
        safe: bool,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        self._settings.check()
        until = self.until(self._budget.seconds)
        renewed = False
        tried = 0
        while True:
            tried += 1
            try:
                answer = self._once(method, path, query, body, until)
            except _NoTokenError as trouble:
                error, again = trouble.error, trouble.again
            else:
                if isinstance(answer, httpx2.Response):
                    if answer.status_code < _ELSEWHERE:
                        return _document(answer)
                    if answer.status_code in self._credential.over and not renewed:
                        renewed = True
                        self._credential.forget()
                        continue
                error, again = self._judged(answer, path, safe=safe)
            wait = error.retry_after if isinstance(error, UnavailableError) and error.retry_after else None
            if wait is None:
                wait = self._budget.first * 2 ** (tried - 1) * (0.5 + self._random.random())
            if not again or tried >= self._budget.tries or self._clock() + wait >= until:
                raise error
            self._sleep(wait)

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        until: float,
    ) -> httpx2.Response | httpx2.TransportError:
        """What comes of asking once, within what is left of the budget. Raises `_NoTokenError`."""
        headers = {"Authorization": f"Bearer {self._credential.token()}"}
        left = max(_LEAST, until - self._clock())
        timeout = httpx2.Timeout(min(self._budget.read, left), connect=min(self._budget.connect, left))
        try:
            return self._http.request(
                method, self._settings.url + path, params=dict(query or {}), json=body, headers=headers, timeout=timeout
            )
        except httpx2.TransportError as error:
            return error

    def _judged(
        self, answer: httpx2.Response | httpx2.TransportError, path: str, *, safe: bool
    ) -> tuple[UnavailableError | DatabricksRefusal, bool]:
        """What to say of an answer that was none, and whether to ask again."""
        if not isinstance(answer, httpx2.Response):
            _LOG.info("databricks %s: %s", path, type(answer).__name__)
            never_sent = isinstance(answer, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
            return UnavailableError("Databricks no respondió a tiempo.", hint=_HINT), safe or never_sent
        status = answer.status_code
        _LOG.info("databricks %s: %d", path, status)
        after = _seconds(answer.headers.get("retry-after"))
        if status == _BUSY:
            return UnavailableError(
                "Databricks está atendiendo demasiadas peticiones.", hint=_HINT, retry_after=after
            ), True
        if status in _UNSURE:
            return UnavailableError(f"Databricks respondió {status}.", hint=_HINT, retry_after=after), safe
        if status < _MISTAKEN:
            hint = "Quien opera IPP debe revisar DATABRICKS_WORKSPACE_URL."
            return UnavailableError(f"En la dirección de Databricks responde otro ({status}).", hint=hint), False
        document = _document(answer)
        code, message = str(document.get("error_code", "")), str(document.get("message", ""))
        if status in _UNKNOWN_CALLER:
            hint = "Quien opera IPP debe revisar el secreto de Databricks y sus permisos."
            return UnavailableError(f"Databricks no acepta la credencial de IPP ({code or status}).", hint=hint), False
        return DatabricksRefusal(status, code, message), False

    def _machine_token(self) -> tuple[str, float]:
        """A token of the service principal, and the seconds that it lives. Raises `_NoTokenError`."""
        settings = self._settings
        answer: httpx2.Response | httpx2.TransportError
        try:
            answer = self._http.post(
                settings.url + _TOKEN,
                data={"grant_type": "client_credentials", "scope": "all-apis"},
                auth=(settings.client_id, settings.client_secret),
            )
        except httpx2.TransportError as trouble:
            answer = trouble
        if not isinstance(answer, httpx2.Response) or answer.status_code in _UNSURE | {_BUSY}:
            raise _NoTokenError(*self._judged(answer, _TOKEN, safe=True)) from None
        content = _document(answer)
        if answer.status_code != 200 or "access_token" not in content:
            error = UnavailableError(
                f"Databricks no dio un token a IPP ({content.get('error', answer.status_code)}).",
                hint="Quien opera IPP debe revisar client_id y client_secret en el secreto de Databricks.",
            )
            raise _NoTokenError(error, again=False)
        return str(content["access_token"]), float(content.get("expires_in", 0))


class _NoTokenError(Exception):
    """There is no token to ask with: what to say of it, and whether to try again."""

    def __init__(self, error: UnavailableError | DatabricksRefusal, again: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again


def _document(answer: httpx2.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; empty where it has none."""
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header; a date, which Databricks does not send, is as none."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
