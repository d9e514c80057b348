"""A workspace's definition: jobs, volumes, authorised callers. Plain values that travel as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Rows = Sequence[Sequence[str | None]]

ARGUMENT = "{{job.parameters.%s}}"
"""How a definition refers to a job parameter."""

RUN = "{{job.run_id}}"
"""How it refers to the run."""


@dataclass(frozen=True)
class JobDefinition:
    """A job of one Python wheel task, with the words of the Jobs API.

    ``command`` runs something else in the entry point's place; ``{job_id}`` in it is the parameter
    of that name. ``retry_wait`` is how many seconds a run that failed waits before it is tried
    again.
    """

    id: int
    name: str
    entry_point: str = ""
    command: Sequence[str] = ()
    named_parameters: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=lambda: {"job_id": ""})
    max_concurrent_runs: int = 1
    performance: str = "STANDARD"
    max_retries: int = 0
    retry_wait: float = 0.1

    def arguments(self, parameters: Mapping[str, str], run_id: int) -> list[str]:
        """The task's named parameters as it gets them, ``--name=value``."""
        named = {
            name: value.replace(RUN, str(run_id)) for name, value in self.named_parameters.items()
        }
        return [f"--{name}={_filled(value, parameters)}" for name, value in named.items()]


@dataclass(frozen=True)
class Volumes:
    """External volumes: folders below ``folder``, named by bucket key in ``buckets``, over S3."""

    folder: str
    endpoint: str
    buckets: Mapping[str, str]


@dataclass(frozen=True)
class Definition:
    """A whole workspace.

    ``tables`` is where the SQL warehouse finds its tables; without it, the warehouse answers from
    ``spoken``, by words of its statements.
    ``shapes`` is how a run tells its state: ``old`` (``state``), ``new`` (``status``) or ``both``.
    ``token_lives`` is how many seconds a machine's token is good for. ``secrets`` are by scope and
    key. ``environ`` is what a task's process has besides the system's own.
    """

    folder: str
    jobs: Sequence[JobDefinition]
    token: str
    client_id: str
    client_secret: str
    warehouse: str
    token_lives: float = 3_600.0
    shapes: str = "both"
    volumes: Volumes | None = None
    tables: str = ""
    spoken: Mapping[str, Rows] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    grace: float = 2.0

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Definition:
        content: dict[str, Any] = json.loads(path.read_text())
        jobs = [JobDefinition(**job) for job in content.pop("jobs")]
        volumes = content.pop("volumes")
        return cls(jobs=jobs, volumes=Volumes(**volumes) if volumes else None, **content)


def _filled(text: str, parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        text = text.replace(ARGUMENT % name, value)
    return text
