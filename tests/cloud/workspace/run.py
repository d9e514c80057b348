"""A run as the workspace knows it, and what a script may ask of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.cloud.workspace.definition import JobDefinition

ENDS = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})
"""States after which there is none."""


@dataclass(frozen=True)
class Wait:
    """A state that a run has before its process starts, whatever the word.

    It lasts until it was seen ``looks`` times and ``seconds`` went by.
    """

    state: str
    looks: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class End:
    """How a run ends, in the words of the old shape."""

    state: str
    result: str = ""
    message: str = ""


@dataclass(frozen=True)
class Plan:
    """The fate of the next ``times`` runs of ``job`` (0: any) with ``job_id`` (empty: any).

    They wait, then their process runs unless ``runs`` says no, and then they end as ``end`` says,
    or else as the process does.
    """

    job: int = 0
    job_id: str = ""
    times: int = 1
    waits: Sequence[Wait] = ()
    end: End | None = None
    runs: bool = True


@dataclass
class Attempt:
    """One try at a run's task: a run of its own, with its own id."""

    id: int
    number: int
    started: float = 0.0
    end: End | None = None
    error: str = ""
    logs: str = ""


@dataclass
class Run:
    """A run; whoever reads or writes it holds the lock of its workspace."""

    id: int
    job: JobDefinition
    parameters: Mapping[str, str]
    token: str
    plan: Plan
    attempts: list[Attempt]
    performance: str
    state: str = "PENDING"
    result: str = ""
    message: str = ""
    starts: int = 0
    looks: int = 0
    admitted: bool = False
    stopping: str = ""
    created: float = field(default_factory=time.time)
    ended_at: float = 0.0

    @property
    def job_id(self) -> str:
        """Of the process that it is a stage of."""
        return self.parameters.get("job_id", "")

    @property
    def ended(self) -> bool:
        return self.state in ENDS

    def stops(self) -> bool:
        """Whether it is to be stopped, by now."""
        return bool(self.stopping)
