"""Settings of each process, read once, at its start, and checked in one place."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ipp.errors import IncompleteError, InvalidInputError

_FORBIDDEN_PATH_CHARACTERS = frozenset("%*?[]{}")

DEFAULT_CATALOG: Final = "invenadro"
"""Catalog of the tables, unless a process is told another."""

_CATALOG_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,254}")
"""Names that SQL, Spark, a path and Unity Catalog, which keeps lower case, all read alike."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings of an HTTP server: who may call it.

    ``issuer`` and ``audience`` identify the tokens that are accepted, empty for none; ``jwks_url``
    is the address of the issuer's JWKS, if it is not where Cognito publishes it; ``client_secret``
    authenticates the application to the issuer, empty if it needs none. ``origins`` are the origins
    that may call the server from a browser (CORS).
    """

    issuer: str = ""
    audience: str = ""
    jwks_url: str = ""
    client_secret: str = field(default="", repr=False)
    origins: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> WebSettings:
        """Read the variables ``IPP_*`` of an HTTP server.

        They are ``IPP_ISSUER``, ``IPP_AUDIENCE``, ``IPP_JWKS_URL`` (default: the issuer's own
        JWKS), ``IPP_CLIENT_SECRET`` and ``IPP_ORIGINS`` (separated by commas). Raises
        `InvalidInputError` if an origin is ``*``.
        """
        return cls(
            issuer=environ.get("IPP_ISSUER", "").strip(),
            audience=environ.get("IPP_AUDIENCE", "").strip(),
            jwks_url=environ.get("IPP_JWKS_URL", "").strip(),
            client_secret=environ.get("IPP_CLIENT_SECRET", "").strip(),
            origins=_origins(environ),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a process on one machine.

    ``home`` holds tables, files, rejected rows, jobs and their runs; ``web`` are its server's
    settings; ``max_jobs`` is the number of jobs one caller may have running; ``retention_days`` is
    for how many days results are kept, None for ever.
    """

    home: Path
    web: WebSettings = field(default_factory=WebSettings)
    max_jobs: int = 5
    retention_days: int | None = None

    @property
    def lakehouse(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "lakehouse"

    @property
    def files(self) -> Path:
        """Folder of the objects that jobs write: ipp-raw and ipp-processed."""
        return self.home / "archivos"

    @property
    def rejections(self) -> Path:
        """Folder of the lists of rejected rows."""
        return self.home / "rechazos"

    @property
    def scratch(self) -> Path:
        """Folder of temporary files."""
        return self.home / "borradores"

    @property
    def jobs(self) -> Path:
        """SQLite file of the jobs."""
        return self.home / "procesos" / "jobs.sqlite"

    @property
    def runs(self) -> Path:
        """SQLite file of the runs of the jobs' stages."""
        return self.home / "procesos" / "runs.sqlite"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables ``IPP_*``.

        They are ``IPP_HOME`` (default ``~/ipp``), ``IPP_MAX_JOBS``, ``IPP_RETENTION_DAYS`` and
        those of `WebSettings`. Raises `InvalidInputError` if the home is not a folder or contains a
        character that Polars or delta-rs read as a glob or an escape, if an origin is ``*``, or if
        a number is not a whole number from 1.
        """
        return cls(
            home=_home_folder(environ),
            web=WebSettings.from_environment(environ),
            max_jobs=_integer_setting(environ, "IPP_MAX_JOBS", 5),
            retention_days=_integer_setting(environ, "IPP_RETENTION_DAYS", 0) or None,
        )


def is_debugging(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether ``IPP_DEBUG`` asks for the traceback of an unexpected error."""
    return bool(environ.get("IPP_DEBUG"))


def _origins(environ: Mapping[str, str]) -> tuple[str, ...]:
    origins = tuple(o.strip() for o in environ.get("IPP_ORIGINS", "").split(",") if o.strip())
    if any("*" in origin for origin in origins):
        raise InvalidInputError(
            f"IPP_ORIGINS = {','.join(origins)} no es posible: cualquier página podría llamar.",
            hint="Indique cada origen, como https://inventarios.ejemplo.mx, separados por comas.",
        )
    return origins


def _home_folder(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("IPP_HOME") or "~/ipp").expanduser().absolute()
    if home.exists() and not home.is_dir():
        raise InvalidInputError(
            f"IPP_HOME = {home} no es una carpeta.", hint="Indique una carpeta."
        )
    if forbidden := sorted(_FORBIDDEN_PATH_CHARACTERS.intersection(str(home))):
        raise InvalidInputError(
            f"IPP_HOME = {home} lleva {' '.join(forbidden)},"
            " que los lectores de tablas no entienden.",
            hint="Use una carpeta sin esos signos; espacios y acentos sí valen.",
        )
    return home


def _integer_setting(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise InvalidInputError(
            f"{name} = {text} no es posible.", hint="Indique un número entero desde 1."
        )
    return int(text)


SECRET_VARIABLE = "DATABRICKS_SECRET"  # noqa: S105  # the name of a variable
"""Variable that names the secret with the credential, if the environment does not hold it."""

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


def _parse_credential(text: str) -> tuple[str, str, str]:
    """Return the token, client id and client secret in a secret: the first or the other two."""
    try:
        content = json.loads(text)
    except ValueError:
        return text.strip(), "", ""
    if isinstance(content, dict):
        return tuple(str(content.get(name, "")) for name in ("token", "client_id", "client_secret"))  # type: ignore[return-value]  # three names
    return text.strip(), "", ""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Settings of a process over AWS and Databricks.

    They are the jobs table, the buckets, the workspace, the running jobs allowed per caller, and
    the catalog of the tables.
    """

    jobs_table: str
    raw_bucket: str
    processed_bucket: str
    databricks: DatabricksSettings
    max_jobs: int = 5
    catalog: str = DEFAULT_CATALOG

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], secret: Callable[[str], str]
    ) -> CloudSettings:
        """Read the variables ``IPP_*`` of such a process, and those of `DatabricksSettings`.

        They are ``IPP_JOBS_TABLE``, ``IPP_RAW_BUCKET``, ``IPP_PROCESSED_BUCKET``, ``IPP_MAX_JOBS``
        (default 5) and ``IPP_CATALOG`` (default invenadro). Raises `InvalidInputError` naming the
        variables that are missing, or one whose value is not possible.
        """
        names = ("IPP_JOBS_TABLE", "IPP_RAW_BUCKET", "IPP_PROCESSED_BUCKET")
        values = {name: environ.get(name, "").strip() for name in names}
        if missing := [name for name, value in values.items() if not value]:
            raise InvalidInputError(
                f"Falta fijar {', '.join(missing)}.",
                hint="Los fija la plantilla con que se despliega.",
            )
        table, raw, processed = values.values()
        databricks = DatabricksSettings.from_environment(environ, secret)
        most = _integer_setting(environ, "IPP_MAX_JOBS", 5)
        catalog = environ.get("IPP_CATALOG", "").strip() or DEFAULT_CATALOG
        _check_catalog("IPP_CATALOG", catalog)
        return cls(table, raw, processed, databricks, most, catalog)


def _check_catalog(setting: str, name: str) -> None:
    """Raise `InvalidInputError` unless ``name`` is one that needs no quotes anywhere."""
    if not _CATALOG_PATTERN.fullmatch(name):
        raise InvalidInputError(
            f"{setting} = {name} no es posible.",
            hint="Un catálogo se llama con minúsculas, dígitos y _, y empieza con una letra.",
        )


_CLOUD_SERVER_VARIABLES: Final = (
    "IPP_ISSUER",
    "IPP_AUDIENCE",
    "IPP_JOBS_TABLE",
    "IPP_RAW_BUCKET",
    "IPP_PROCESSED_BUCKET",
    "DATABRICKS_WORKSPACE_URL",
    "DATABRICKS_JOB1_ID",
    "DATABRICKS_FACTOR_JOB_ID",
    "DATABRICKS_JOB2_ID",
    "DATABRICKS_WAREHOUSE_ID",
)

_CREDENTIAL_VARIABLES: Final = (
    (SECRET_VARIABLE,),
    ("DATABRICKS_ACCESS_TOKEN",),
    ("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"),
)
"""Variables, any group of which gives Databricks' credential."""


def check_cloud_server(environ: Mapping[str, str]) -> None:
    """Raise `InvalidInputError` if a variable that ``ipp serve --nube`` needs is not set.

    It names all of them. People sign in wherever the server listens: what it shows is everybody's.
    """
    is_set = {name for name, value in environ.items() if value.strip()}
    missing = [name for name in _CLOUD_SERVER_VARIABLES if name not in is_set]
    if not any(is_set.issuperset(names) for names in _CREDENTIAL_VARIABLES):
        missing.append(SECRET_VARIABLE)
    if missing:
        raise InvalidInputError(
            f"Falta fijar {', '.join(missing)}.",
            hint="ipp serve --nube los necesita todos; ipp serve, sin --nube, sirve esta máquina.",
        )


@dataclass(frozen=True, slots=True)
class StageSettings:
    """Settings of a stage on Databricks, which come as arguments: its files and tables.

    ``files`` is the folder of the volumes ipp-raw and ipp-processed, which are backed by the
    buckets. If ``secret_scope`` names a scope with an AWS key, they are separate: then the files
    that people open are in ``raw_bucket`` and ``processed_bucket``. ``catalog`` is that of the
    tables: deployments that share a metastore have one each. ``tables`` is a folder of Parquet for
    a Spark without catalogs, None for the tables of the metastore.
    """

    files: Path
    catalog: str = DEFAULT_CATALOG
    tables: Path | None = None
    secret_scope: str = ""
    raw_bucket: str = ""
    processed_bucket: str = ""
    region: str = ""

    def __post_init__(self) -> None:
        """Raise `InvalidInputError` for a catalog that cannot be one."""
        _check_catalog("catalog", self.catalog)
