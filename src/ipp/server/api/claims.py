"""Build the caller from the claims of a token that has been verified."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from fastapi import Request
from typing_extensions import override

from ipp.jobs.job import JobOwner
from ipp.jobs.job_service import Caller
from ipp.server.api.problem_response import UnauthenticatedError


class Role(StrEnum):
    """A group of the issuer whose members may do more than read and start jobs."""

    EDITOR = "ipp-editor"
    """Changes what everybody shares."""
    ADMIN = "ipp-admin"
    """Sees all users' jobs, and changes what everybody shares."""


MAX_SUB_CHARACTERS: Final = 255
"""Longest ``sub``, as OpenID Connect limits it."""

SIGN_IN_HINT: Final = "Inicie sesión otra vez."


class Authenticator(Protocol):
    """Identifies the caller of a request."""

    async def identify_caller(self, request: Request) -> Caller:
        """Return the caller. Raises `UnauthenticatedError`, or `ForbiddenError` if not allowed."""
        ...


class GatewayAuthenticator(Authenticator):
    """Authenticate by the claims of a token that API Gateway's authoriser verified."""

    @override
    async def identify_caller(self, request: Request) -> Caller:
        """Return the caller that the gateway's claims name.

        Raises `UnauthenticatedError` without claims: no route may bypass the authoriser.
        """
        context = request.scope.get("aws.event", {}).get("requestContext", {})
        claims = context.get("authorizer", {}).get("jwt", {}).get("claims")
        if not isinstance(claims, Mapping):
            raise UnauthenticatedError("Falta identificarse.", hint=SIGN_IN_HINT)
        return caller_of_claims(
            {**claims, "cognito:groups": _parse_groups(claims.get("cognito:groups"))}
        )


def _parse_groups(groups: Any) -> list[str]:
    """Return the groups, which the gateway writes as ``[one two]``."""
    if isinstance(groups, list):
        return groups
    return groups.strip("[]").replace(",", " ").split() if isinstance(groups, str) else []


def caller_of_claims(claims: Mapping[str, Any]) -> Caller:
    """Return the caller that ``claims`` name. Raises `UnauthenticatedError` on a bad ``sub``."""
    sub = _text_claim(claims, "sub")
    if not sub.strip() or len(sub) > MAX_SUB_CHARACTERS:
        raise UnauthenticatedError("El token no dice de quién es.", hint=SIGN_IN_HINT)
    user = JobOwner(
        sub=sub,
        email=_text_claim(claims, "email"),
        username=_text_claim(claims, "cognito:username") or _text_claim(claims, "username"),
        name=_text_claim(claims, "name"),
    )
    groups = claims.get("cognito:groups")
    groups = groups if isinstance(groups, list) else []
    return Caller(user, admin=Role.ADMIN in groups, editor=Role.EDITOR in groups)


def _text_claim(claims: Mapping[str, Any], name: str) -> str:
    """Return a printable text claim, or an empty string.

    An unprintable one, such as a lone surrogate, could not be stored.
    """
    value = claims.get(name)
    return value if isinstance(value, str) and value.isprintable() else ""
