"""From what a person asks to a job that can run: which mostradores, with what, as of when."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import polars as pl

from ipp.core.parameters import Parameters
from ipp.core.tables import CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT
from ipp.errors import InvalidInputError, NotConfiguredError
from ipp.lakehouse.base import Lakehouse
from ipp.stages.job import JobSpec

MAX_MOSTRADORES = 10_000
"""Most ids that one request may list."""

_ID = re.compile(r"\s*0*([1-9][0-9]{0,9})(?:\.0+)?\s*")


_QUIET = dt.timedelta(days=7)
"""A cutoff may lie this long after the last sale: a month can end with days on which nobody sold."""


class Mode(Enum):
    """Whether a request lists its mostradores or takes every active one."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True)
class Validation:
    """Which of the mostradores asked for have a configuration, each list in the order asked."""

    mode: Mode
    valid: tuple[int, ...]
    invalid: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many were asked for."""
        return len(self.valid) + len(self.invalid)

    @property
    def status(self) -> str:
        """``all_valid``, ``partial_valid`` or ``all_invalid``."""
        if not self.invalid:
            return "all_valid"
        return "partial_valid" if self.valid else "all_invalid"

    @property
    def message(self) -> str:
        """The outcome in one sentence."""
        if not self.invalid:
            return f"Todos los {self.total} mostradores tienen configuración"
        if self.valid:
            return f"{len(self.valid)} de {self.total} mostradores tienen configuración"
        return f"Ninguno de los {self.total} mostradores tiene configuración"

    def document(self) -> dict[str, object]:
        """The outcome as programs read it, by the seed's own names."""
        return {
            "status": self.status,
            "message": self.message,
            "mode": self.mode.value,
            "validClients": list(map(str, self.valid)),
            "invalidClients": list(map(str, self.invalid)),
            "total": self.total,
            "validated": len(self.valid),
        }


def parse_mostradores(values: Iterable[object]) -> tuple[int, ...]:
    """Read ids as people write them; each counts once, in the order of its first mention.

    Raises `InvalidInputError` for an empty list, for more than `MAX_MOSTRADORES`, and for what is no id, which
    it names.
    """
    found: dict[int, None] = {}
    wrong: list[str] = []
    for value in values:
        match = _ID.fullmatch(str(value)) if not isinstance(value, bool) else None
        if match:
            found[int(match[1])] = None
        else:
            wrong.append(str(value).strip() or "(vacío)")
    if wrong:
        listed = ", ".join(wrong[:10]) + (f" y {len(wrong) - 10} más" if len(wrong) > 10 else "")
        raise InvalidInputError(f"No son números de mostrador: {listed}.", hint="Son de 1 a 10 dígitos.")
    if not found:
        raise InvalidInputError(
            "La lista de mostradores está vacía.", hint="Indique al menos uno, o pídalos todos con --todos."
        )
    if len(found) > MAX_MOSTRADORES:
        raise InvalidInputError(
            f"Son {len(found):,} mostradores y caben {MAX_MOSTRADORES:,} por proceso.",
            hint="Divida la lista.",
        )
    return tuple(found)


def validate(mostradores: tuple[int, ...] | None, lakehouse: Lakehouse) -> Validation:
    """Tell which of ``mostradores`` have a configuration; None asks for every one that has.

    Raises `NotConfiguredError` where all are asked for and there is none.
    """
    configured = lakehouse.scan(CONFIGURATIONS).select("mostrador")
    if mostradores is None:
        every = configured.unique().sort("mostrador").collect()["mostrador"].to_list()
        if not every:
            raise NotConfiguredError(
                "No hay ningún mostrador con configuración.", hint="Importe antes las configuraciones."
            )
        return Validation(Mode.AUTOMATIC, tuple(every), ())
    known = set(configured.filter(pl.col("mostrador").is_in(mostradores)).collect()["mostrador"])
    return Validation(
        Mode.MANUAL,
        tuple(m for m in mostradores if m in known),
        tuple(m for m in mostradores if m not in known),
    )


def plan(
    mostradores: tuple[int, ...] | None,
    parameters: Parameters,
    lakehouse: Lakehouse,
    *,
    job_id: str,
    created_at: dt.datetime,
    cutoff: dt.date | None = None,
) -> JobSpec:
    """Make a job of a request; nothing is written.

    ``cutoff`` lies within the sell-out or shortly after, by default on its last day. Raises `NotConfiguredError`
    naming mostradores without a configuration, `InvalidInputError` where there is no catalogue or no sell-out.
    """
    validation = validate(mostradores, lakehouse)
    if validation.invalid:
        listed = ", ".join(map(str, validation.invalid))
        raise NotConfiguredError(
            f"Sin configuración: {listed}.", hint="Impórtela o quítelos de la lista; no se inició nada."
        )
    _check_tables(validation.valid, lakehouse)
    return JobSpec(
        job_id=job_id,
        mostradores=tuple(sorted(validation.valid)),
        parameters=parameters,
        cutoff=_cutoff(cutoff, lakehouse),
        created_at=created_at,
    )


def _check_tables(mostradores: tuple[int, ...], lakehouse: Lakehouse) -> None:
    known = set(lakehouse.scan(COUNTERS).select("mostrador").collect()["mostrador"])
    if unknown := [m for m in mostradores if m not in known]:
        raise NotConfiguredError(
            f"Con configuración, pero sin renglón en mostradores: {', '.join(map(str, unknown))}.",
            hint="Importe sus renglones de mostradores; no se inició nada.",
        )
    if lakehouse.scan(MATERIALS).limit(1).collect().is_empty():
        raise InvalidInputError("No hay materiales.", hint="Importe antes el catálogo, con precios.")


def _cutoff(asked: dt.date | None, lakehouse: Lakehouse) -> dt.date:
    """The day asked for where there is sell-out around it; the last one there is where none was asked for."""
    days = lakehouse.scan(SELLOUT).select(pl.col("date").min().alias("first"), pl.col("date").max().alias("last"))
    first, last = days.collect().row(0)
    if last is None and asked is None:
        raise InvalidInputError("No hay sell-out.", hint="Impórtelo antes, o indique la fecha con --corte.")
    if last is not None and asked is not None and not first <= asked <= last + _QUIET:
        raise InvalidInputError(
            f"No hay venta que llegue al {asked}.", hint=f"El sell-out va del {first} al {last}: elija un día de ésos."
        )
    return asked or last
