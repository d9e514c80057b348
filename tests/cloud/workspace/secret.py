"""The workspace's secrets, as a stage that runs in it reads them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from tests.cloud.workspace.route import Answer, Route, build_route, error_answer


class SecretApi:
    """Gives the secrets of ``scopes`` by scope and key."""

    def __init__(self, scopes: Mapping[str, Mapping[str, str]]) -> None:
        self._scopes = scopes

    def routes(self) -> Sequence[Route]:
        return [build_route("GET", "/api/2.0/secrets/get", lambda call: self._secret(call.query))]

    def _secret(self, query: Mapping[str, str]) -> Answer:
        scope, key = query.get("scope", ""), query.get("key", "")
        value = self._scopes.get(scope, {}).get(key)
        if value is None:
            return error_answer(
                404,
                "RESOURCE_DOES_NOT_EXIST",
                f"Secret does not exist with scope: {scope} and key: {key}",
            )
        return 200, {"key": key, "value": base64.b64encode(value.encode()).decode()}
