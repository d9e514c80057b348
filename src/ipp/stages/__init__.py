"""The three stages of a job: tables in, the core one mostrador at a time, tables and files out.

A stage reads what the one before it wrote and nothing else, so it may be run again at any time, after any
crash, and leaves the same rows. What computes them is a `ipp.runners.base.Runner`.
"""

from collections.abc import Callable, Mapping

from ipp.request import JobSpec
from ipp.runners.base import Progress, Runner
from ipp.stages.factor import round_job
from ipp.stages.normaliser import normalise_job
from ipp.stages.publication import publish_job

Stage = Callable[[JobSpec, Runner, Progress], None]

STAGES: Mapping[str, Stage] = {"normalizador": normalise_job, "factor": round_job, "publicacion": publish_job}
"""The stages in order, by the name people read."""

__all__ = ["STAGES", "Stage"]
