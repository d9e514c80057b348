"""Plan a job from a request: its mostradores, parameters and cutoff."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from typing_extensions import TypedDict

from ipp.core.parameters import Parameters
from ipp.errors import InvalidInputError, NotConfiguredError, name_some
from ipp.jobs.job_spec import JobSpec
from ipp.storage.warehouse.warehouse import Readiness, Warehouse

_MAX_QUIET_SPELL: Final = dt.timedelta(days=7)
"""How long after the last sale a cutoff may lie: a month can end with days without sales."""


RequestMode = Literal["manual", "automatic"]
"""The mode of a request: it lists its mostradores, or takes every active one."""

ValidationStatus = Literal["all_valid", "partial_valid", "all_invalid"]


class ValidationDocument(TypedDict):
    """A validation as JSON, with the field names of the original system (the seed)."""

    status: ValidationStatus
    message: str
    mode: RequestMode
    validClients: list[str]  # clients read this name
    invalidClients: list[str]  # clients read this name
    total: int
    validated: int


@dataclass(frozen=True, slots=True)
class Validation:
    """The requested mostradores with and without a configuration, each in the order requested."""

    mode: RequestMode
    valid: tuple[int, ...]
    invalid: tuple[int, ...]

    @property
    def total(self) -> int:
        """The number of mostradores requested."""
        return len(self.valid) + len(self.invalid)

    @property
    def status(self) -> ValidationStatus:
        """Whether all, some or none have a configuration."""
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

    def to_document(self) -> ValidationDocument:
        """Return the outcome as JSON."""
        return {
            "status": self.status,
            "message": self.message,
            "mode": self.mode,
            "validClients": list(map(str, self.valid)),
            "invalidClients": list(map(str, self.invalid)),
            "total": self.total,
            "validated": len(self.valid),
        }


def validate_counters(mostradores: tuple[int, ...] | None, warehouse: Warehouse) -> Validation:
    """Split ``mostradores`` by whether they have a configuration; None requests all that have one.

    Raises `NotConfiguredError` if all are requested and none has one.
    """
    known = warehouse.configured_counters(mostradores)
    if mostradores is None:
        if not known:
            raise NotConfiguredError(
                "No hay ningún mostrador con configuración.",
                hint="Importe antes las configuraciones.",
            )
        return Validation("automatic", tuple(known), ())
    configured = set(known)
    return Validation(
        "manual",
        tuple(m for m in mostradores if m in configured),
        tuple(m for m in mostradores if m not in configured),
    )


def plan_job(
    mostradores: tuple[int, ...] | None,
    parameters: Parameters,
    warehouse: Warehouse,
    *,
    job_id: str,
    created_at: dt.datetime,
    cutoff: dt.date | None = None,
) -> JobSpec:
    """Return the job for a request; write nothing.

    ``cutoff`` lies within the sell-out or shortly after it; the default is its last day. Raises
    `NotConfiguredError` naming mostradores without a configuration, and `InvalidInputError` if
    there is no catalogue or no sell-out.
    """
    validation = validate_counters(mostradores, warehouse)
    if validation.invalid:
        raise NotConfiguredError(
            f"Sin configuración: {name_some(validation.invalid)}.",
            hint="Impórtela o quítelos de la lista; no se inició nada.",
        )
    if unknown := warehouse.unknown_counters(validation.valid):
        raise NotConfiguredError(
            f"Con configuración, pero sin renglón en mostradores: {name_some(unknown)}.",
            hint="Importe sus renglones de mostradores; no se inició nada.",
        )
    ready = warehouse.readiness()
    if not ready.has_materials:
        raise InvalidInputError(
            "No hay materiales.", hint="Importe antes el catálogo, con precios."
        )
    return JobSpec(
        job_id=job_id,
        mostradores=tuple(sorted(validation.valid)),
        parameters=parameters,
        cutoff=_choose_cutoff(cutoff, ready),
        created_at=created_at,
    )


def _choose_cutoff(requested: dt.date | None, ready: Readiness) -> dt.date:
    """Return the requested day if the sell-out covers it; without a request, the last day sold."""
    first, last = ready.first, ready.last
    if first is None or last is None:
        if requested is None:
            raise InvalidInputError("No hay sell-out.", hint="Impórtelo antes.")
        return requested
    if requested is not None and not first <= requested <= last + _MAX_QUIET_SPELL:
        raise InvalidInputError(
            f"No hay venta que llegue al {requested}.",
            hint=f"El sell-out va del {first} al {last}: elija un día de ésos.",
        )
    return requested or last
