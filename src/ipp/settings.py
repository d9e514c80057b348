"""Settings read from the environment: once, at the start, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipp.errors import InvalidInputError

_FORBIDDEN_PATH_CHARACTERS = frozenset("%*?[]{}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process.

    ``home`` holds tables, files, rejected rows, jobs and their runs. ``issuer`` and ``audience``
    identify the tokens that are accepted, empty for none; ``jwks_url`` is the address of the
    issuer's JWKS, if it is not where Cognito publishes it; ``client_secret`` authenticates the
    application to the issuer, empty if it needs none. ``origins`` are the origins that may call the
    server from a browser (CORS); ``max_jobs`` is the number of jobs one caller may have running.
    """

    home: Path
    issuer: str = ""
    audience: str = ""
    jwks_url: str = ""
    client_secret: str = field(default="", repr=False)
    origins: tuple[str, ...] = ()
    max_jobs: int = 5

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
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables ``IPP_*``.

        They are ``IPP_HOME`` (default ``~/ipp``), ``IPP_ISSUER``, ``IPP_AUDIENCE``,
        ``IPP_JWKS_URL`` (default: the issuer's own JWKS), ``IPP_CLIENT_SECRET``, ``IPP_ORIGINS``
        (separated by commas) and ``IPP_MAX_JOBS``. Raises `InvalidInputError` if the home is not a
        folder or contains a character that Polars or delta-rs read as a glob or an escape, or if
        a number is not a whole number from 1.
        """
        return cls(
            home=_home_folder(environ),
            issuer=environ.get("IPP_ISSUER", "").strip(),
            audience=environ.get("IPP_AUDIENCE", "").strip(),
            jwks_url=environ.get("IPP_JWKS_URL", "").strip(),
            client_secret=environ.get("IPP_CLIENT_SECRET", "").strip(),
            origins=tuple(
                o.strip() for o in environ.get("IPP_ORIGINS", "").split(",") if o.strip()
            ),
            max_jobs=_integer_setting(environ, "IPP_MAX_JOBS", 5),
        )


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


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Settings of a Lambda function: jobs table, buckets, and running jobs allowed per caller."""

    jobs_table: str
    raw_bucket: str
    processed_bucket: str
    max_jobs: int = 5

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> CloudSettings:
        """Read the variables ``IPP_*`` of a Lambda function.

        They are ``IPP_JOBS_TABLE``, ``IPP_RAW_BUCKET``, ``IPP_PROCESSED_BUCKET`` and
        ``IPP_MAX_JOBS`` (default 5). Raises `InvalidInputError` naming the variables that are
        missing, or if the last is not a whole number from 1.
        """
        names = ("IPP_JOBS_TABLE", "IPP_RAW_BUCKET", "IPP_PROCESSED_BUCKET")
        values = {name: environ.get(name, "").strip() for name in names}
        if missing := [name for name, value in values.items() if not value]:
            raise InvalidInputError(
                f"Falta fijar {', '.join(missing)}.",
                hint="Los fija la plantilla con que se despliega.",
            )
        table, raw, processed = values.values()
        return cls(table, raw, processed, _integer_setting(environ, "IPP_MAX_JOBS", 5))
