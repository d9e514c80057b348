"""Who a token's claims say is calling, once somebody has checked the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from fastapi import Request

from ipp.jobs.job import JobOwner
from ipp.jobs.job_service import Caller
from ipp.server.api.problem_response import UnauthenticatedError

ADMIN_GROUP: Final = "ipp-admin"
"""Whoever is in this group sees everybody's jobs."""

MAX_SUB_CHARACTERS: Final = 255
"""Characters of the longest subject, as OpenID Connect sets it."""

SIGN_IN_HINT: Final = "Inicie sesión otra vez."


class Authenticator(Protocol):
    """Tells who a request comes from."""

    async def identify_caller(self, request: Request) -> Caller:
        """Who is calling. Raises `UnauthenticatedError`, or `ForbiddenError` for one who may not, whoever they are."""
        ...


class GatewayAuthenticator:
    """Callers by the claims that API Gateway's authoriser read from a token that it checked."""

    async def identify_caller(self, request: Request) -> Caller:
        """Who the gateway says. Raises `UnauthenticatedError` where it says nobody: no route may go around it."""
        context = request.scope.get("aws.event", {}).get("requestContext", {})
        claims = context.get("authorizer", {}).get("jwt", {}).get("claims")
        if not isinstance(claims, Mapping):
            raise UnauthenticatedError("Falta identificarse.", hint=SIGN_IN_HINT)
        return caller_of_claims(
            {**claims, "cognito:groups": _parse_groups(claims.get("cognito:groups"))}
        )


def _parse_groups(groups: Any) -> list[str]:
    """The groups, which the gateway writes as ``[one two]``."""
    if isinstance(groups, list):
        return groups
    return groups.strip("[]").replace(",", " ").split() if isinstance(groups, str) else []


def caller_of_claims(claims: Mapping[str, Any]) -> Caller:
    """The caller that ``claims`` name. Raises `UnauthenticatedError` where they name none."""
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
    return Caller(user, admin=isinstance(groups, list) and ADMIN_GROUP in groups)


def _text_claim(claims: Mapping[str, Any], name: str) -> str:
    """A claim that people can read, empty where it is none: half a character of JSON could not be stored."""
    value = claims.get(name)
    return value if isinstance(value, str) and value.isprintable() else ""
