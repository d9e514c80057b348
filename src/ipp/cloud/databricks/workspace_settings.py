"""Databricks settings, read from the environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ipp.errors import IncompleteError, InvalidInputError

SECRET_VARIABLE = "DATABRICKS_SECRET"  # noqa: S105  # the name of a variable
"""Variable that names the secret with the credential, if the environment does not hold it."""


@dataclass(frozen=True, slots=True)
class DatabricksSettings:
    """A workspace, its three jobs and its SQL warehouse; empty if not set.

    Credentials are left out of the repr.
    """

    url: str = ""
    token: str = field(default="", repr=False)
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    normaliser_job: str = ""
    factor_job: str = ""
    publication_job: str = ""
    warehouse: str = ""

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], secret: Callable[[str], str]
    ) -> DatabricksSettings:
        """Read the variables ``DATABRICKS_*``.

        ``secret`` returns the content of the secret that ``DATABRICKS_SECRET`` names: a token, or
        JSON with client_id and client_secret. It is called only if the environment itself holds no
        credential. Raises `InvalidInputError` if the workspace's address is not a URL we accept.
        """
        read = {name: environ.get(f"DATABRICKS_{name}", "").strip() for name in _VARIABLE_NAMES}
        token, client, password = read["ACCESS_TOKEN"], read["CLIENT_ID"], read["CLIENT_SECRET"]
        if (
            not token
            and not (client and password)
            and (name := environ.get(SECRET_VARIABLE, "").strip())
        ):
            token, client, password = _parse_credential(secret(name))
        url = read["WORKSPACE_URL"].rstrip("/")
        if url and not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise InvalidInputError(
                f"DATABRICKS_WORKSPACE_URL = {url} no sirve.",
                hint="Es la dirección del workspace, con https://.",
            )
        return cls(
            url=url,
            token=token,
            client_id=client,
            client_secret=password,
            normaliser_job=read["JOB1_ID"],
            factor_job=read["FACTOR_JOB_ID"],
            publication_job=read["JOB2_ID"],
            warehouse=read["WAREHOUSE_ID"],
        )

    def check_complete(self) -> None:
        """Raise `IncompleteError`, naming every variable that is not set, if there are any."""
        needed = {
            "DATABRICKS_WORKSPACE_URL": self.url,
            "DATABRICKS_ACCESS_TOKEN": self.token or (self.client_id and self.client_secret),
            "DATABRICKS_JOB1_ID": self.normaliser_job,
            "DATABRICKS_FACTOR_JOB_ID": self.factor_job,
            "DATABRICKS_JOB2_ID": self.publication_job,
            "DATABRICKS_WAREHOUSE_ID": self.warehouse,
        }
        if missing := [name for name, value in needed.items() if not value]:
            raise IncompleteError(missing)


_VARIABLE_NAMES = (
    "WORKSPACE_URL",
    "ACCESS_TOKEN",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "JOB1_ID",
    "FACTOR_JOB_ID",
    "JOB2_ID",
    "WAREHOUSE_ID",
)


def _parse_credential(text: str) -> tuple[str, str, str]:
    """Return the token, client id and client secret in a secret: the first or the other two."""
    try:
        content = json.loads(text)
    except ValueError:
        return text.strip(), "", ""
    if isinstance(content, dict):
        return tuple(str(content.get(name, "")) for name in ("token", "client_id", "client_secret"))  # type: ignore[return-value]  # three names
    return text.strip(), "", ""
