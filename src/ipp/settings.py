"""Where IPP keeps its things: read from the environment once, checked at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ipp.errors import InvalidInputError

_UNFIT = frozenset("%*?[]{}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process; ``home`` holds tables, files and refused rows."""

    home: Path

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

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read ``IPP_HOME`` (default ``~/ipp``).

        Raises `InvalidInputError` where it names something that is not a folder, or holds a sign that Polars or
        delta-rs take for a pattern or an escape.
        """
        home = Path(environ.get("IPP_HOME") or "~/ipp").expanduser().absolute()
        if home.exists() and not home.is_dir():
            raise InvalidInputError(f"IPP_HOME = {home} no es una carpeta.", hint="Indique una carpeta.")
        if unfit := sorted(_UNFIT.intersection(str(home))):
            raise InvalidInputError(
                f"IPP_HOME = {home} lleva {' '.join(unfit)}, que los lectores de tablas no entienden.",
                hint="Use una carpeta sin esos signos; espacios y acentos sí valen.",
            )
        return cls(home)
