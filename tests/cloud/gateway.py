"""API Gateway's events, version 2.0, for a request whose token its authoriser has checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

Claims = Mapping[str, str]


def build_event(
    method: str,
    path: str,
    *,
    claims: Claims | None,
    stage: str = "$default",
    body: Any = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the event of a request; ``body`` is sent as JSON.

    Without ``claims`` the route has no authoriser.
    """
    raw = path if stage == "$default" else f"/{stage}{path}"
    sent = {
        "host": "api.execute-api.us-east-1.amazonaws.com",
        "x-forwarded-for": "203.0.113.7",
        **(headers or {}),
    }
    if body is not None:
        sent["content-type"] = "application/json"
    context: dict[str, Any] = {
        "accountId": "123456789012",
        "apiId": "api",
        "domainName": sent["host"],
        "domainPrefix": "api",
        "http": {
            "method": method, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7",
            "userAgent": "test",
        },
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": f"{method} {path}",
        "stage": stage,
        "time": "10/Jul/2026:12:00:00 +0000",
        "timeEpoch": 1_783_684_800_000,
    }  # fmt: skip
    if claims is not None:
        context["authorizer"] = {"jwt": {"claims": dict(claims), "scopes": None}}
    made = {
        "version": "2.0",
        "routeKey": context["routeKey"],
        "rawPath": raw,
        "rawQueryString": urlencode(query or {}),
        "headers": sent,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if query:
        made["queryStringParameters"] = dict(query)
    if body is not None:
        made["body"] = json.dumps(body)
    return made
