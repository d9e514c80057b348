"""What the environment sets: read once, checked at the start, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipp.errors import InvalidInputError

_FORBIDDEN_PATH_CHARACTERS = frozenset("%*?[]{}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process.

    ``home`` holds tables, files, refused rows, jobs and their runs. ``issuer`` and ``audience`` say whose tokens are
    believed, empty where none are; ``jwks_url`` where the issuer's keys are, if not where Cognito has them;
    ``client_secret`` what the application proves itself to the issuer with, empty where it needs nothing.
    ``origins`` are the pages that may call the server from a browser, ``max_jobs`` how many jobs one caller may have
    running.
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
        """Folder of the lists of refused rows."""
        return self.home / "rechazos"

    @property
    def scratch(self) -> Path:
        """Folder of what is written on the way to something else."""
        return self.home / "borradores"

    @property
    def jobs(self) -> Path:
        """File of the jobs."""
        return self.home / "procesos" / "jobs.sqlite"

    @property
    def runs(self) -> Path:
        """File of the runs of their stages."""
        return self.home / "procesos" / "runs.sqlite"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables ``IPP_*``.

        ``IPP_HOME`` (default ``~/ipp``), ``IPP_ISSUER``, ``IPP_AUDIENCE``, ``IPP_JWKS_URL`` (default: where the issuer
        keeps its keys), ``IPP_CLIENT_SECRET``, ``IPP_ORIGINS`` (separated by commas) and ``IPP_MAX_JOBS``.
        Raises `InvalidInputError` for a home that is not a folder or holds a sign that Polars or delta-rs take for a
        pattern or an escape, and for a number that is none.
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
    if unfit := sorted(_FORBIDDEN_PATH_CHARACTERS.intersection(str(home))):
        raise InvalidInputError(
            f"IPP_HOME = {home} lleva {' '.join(unfit)}, que los lectores de tablas no entienden.",
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
    """Settings of a Lambda: the table of jobs, the buckets, and how many jobs one caller may have running."""

    jobs_table: str
    raw_bucket: str
    processed_bucket: str
    max_jobs: int = 5

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> CloudSettings:
        """Read ``IPP_JOBS_TABLE``, ``IPP_RAW_BUCKET``, ``IPP_PROCESSED_BUCKET`` and ``IPP_MAX_JOBS``.

        Raises `InvalidInputError` naming what is missing, and for a number that is none.
        """
        names = ("IPP_JOBS_TABLE", "IPP_RAW_BUCKET", "IPP_PROCESSED_BUCKET")
        found = {name: environ.get(name, "").strip() for name in names}
        if missing := [name for name, value in found.items() if not value]:
            raise InvalidInputError(
                f"Falta fijar {', '.join(missing)}.",
                hint="Los fija la plantilla con que se despliega.",
            )
        table, raw, processed = found.values()
        return cls(table, raw, processed, _integer_setting(environ, "IPP_MAX_JOBS", 5))
