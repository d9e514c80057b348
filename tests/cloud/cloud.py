"""A whole stage on this machine: sign-in, gateway, functions, jobs, buckets and workspace."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.cloud import template
from tests.cloud.aws import REGION, client_of
from tests.cloud.gateway import build_event
from tests.cloud.runtime import Function
from tests.cloud.stack import Stack

HANDLERS = ("verificador", "iniciador", "status", "results", "reconciler", "automatic")
PASSWORD = "Una-frase-larga-1"


@dataclass(frozen=True)
class Answer:
    """What a caller got."""

    status: int
    headers: Mapping[str, str]
    content: str

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Pool:
    """Who may sign in: a user pool at ``address``."""

    address: str
    pool: str
    client: str

    def sign_up(self, username: str) -> str:
        """A user, who signs in; gives the token that shows who it is."""
        cognito = client_of(self.address, "cognito-idp")
        given = [
            {"Name": "email", "Value": f"{username}@example.com"},
            {"Name": "name", "Value": username.capitalize()},
        ]
        cognito.admin_create_user(UserPoolId=self.pool, Username=username, UserAttributes=given)
        cognito.admin_set_user_password(
            UserPoolId=self.pool, Username=username, Password=PASSWORD, Permanent=True
        )
        signed = cognito.initiate_auth(
            ClientId=self.client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )
        return str(signed["AuthenticationResult"]["IdToken"])

    def claims(self, token: str) -> Mapping[str, str]:
        """Return the claims that the gateway's authoriser reads from a token checked by JWKS."""
        keys = jwt.PyJWKClient(f"{self.address}/{self.pool}/.well-known/jwks.json")
        issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{self.pool}"
        key = keys.get_signing_key_from_jwt(token)
        read = jwt.decode(token, key, algorithms=["RS256"], audience=self.client, issuer=issuer)
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in read.items()
        }


def pool(address: str) -> Pool:
    """A user pool of its own."""
    cognito = client_of(address, "cognito-idp")
    made = cognito.create_user_pool(PoolName=f"pool-{uuid.uuid4()}")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=made,
        ClientName="web",
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
        ReadAttributes=["email", "name"],
    )
    return Pool(address, made, client["UserPoolClient"]["ClientId"])


@dataclass
class Cloud:
    """The functions of a stack behind its gateway, which asks them as the template says."""

    stack: Stack
    pool: Pool
    functions: Mapping[str, Function]
    _routes: list[tuple[str, re.Pattern[str], str]] = field(default_factory=list)
    _known: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._routes = routes()

    def call(
        self,
        method: str,
        path: str,
        token: str = "",
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request as a program does.

        Raises `FunctionError` where a function ended without an answer: a 500 outside.
        """
        found = next(
            (h for m, pattern, h in self._routes if m == method and pattern.fullmatch(path)), None
        )
        if found is None:
            return Answer(404, {}, '{"message":"Not Found"}')
        if not token:
            return Answer(401, {}, '{"message":"Unauthorized"}')
        try:
            claims = self._known.get(token) or self.pool.claims(token)
        except jwt.InvalidTokenError:
            return Answer(401, {}, '{"message":"Unauthorized"}')
        self._known[token] = claims
        asked = build_event(method, path, claims=claims, body=body, query=query, headers=headers)
        said = self.functions[found].invoke(asked)
        content = said.get("body") or ""
        if said.get("isBase64Encoded"):
            content = base64.b64decode(content).decode()
        return Answer(
            said["statusCode"], {k.lower(): v for k, v in said["headers"].items()}, content
        )

    def minute(self) -> Mapping[str, Any]:
        """The schedule of every minute fires."""
        answer: Mapping[str, Any] = self.functions["reconciler"].invoke(
            {"detail-type": "Scheduled Event"}
        )
        return answer

    def created(self, bucket: str, key: str) -> Mapping[str, Any]:
        """A bucket says that an object was made."""
        detail = {"bucket": {"name": bucket}, "object": {"key": key}}
        answer: Mapping[str, Any] = self.functions["reconciler"].invoke(
            {"detail-type": "Object Created", "source": "aws.s3", "detail": detail}
        )
        return answer


def routes() -> list[tuple[str, re.Pattern[str], str]]:
    """The template's routes: method, path, and the handler that is asked."""
    found = []
    for resource in template.load_template()["Resources"].values():
        if resource["Type"] != template.FUNCTION:
            continue
        handler = resource["Properties"]["Handler"].removeprefix(
            "ipp.entrypoints.lambda_functions."
        )
        for one in resource["Properties"].get("Events", {}).values():
            if one["Type"] == "HttpApi":
                path = re.sub(r"\{\w+\}", "[^/]+", one["Properties"]["Path"])
                found.append((one["Properties"]["Method"], re.compile(path), handler))
    return found


@contextmanager
def deploy_cloud(stack: Stack, workspace: Mapping[str, str]) -> Iterator[Cloud]:
    """Run a stack's functions in the runtime that Lambda runs, until the block ends.

    ``workspace`` has the variables by which they find theirs.
    """
    environ = stack.settings("") | dict(workspace)
    with ExitStack() as running:
        functions = {
            handler: running.enter_context(stack.function(handler, environ)) for handler in HANDLERS
        }
        yield Cloud(stack, pool(stack.address), functions)
