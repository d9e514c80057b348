"""The three stages of a job: tables in, the core one mostrador at a time, tables and files out.

A stage reads what the one before it wrote and nothing else, so it may be run again at any time, after any
crash, and leaves the same bytes.
"""

from collections.abc import Callable, Mapping

from ipp.stages.factor import round_job
from ipp.stages.job import JobSpec, Progress, Workspace, load_spec, save_spec, saved_specs
from ipp.stages.normaliser import normalise_job
from ipp.stages.publication import publish_job
from ipp.stages.request import MAX_MOSTRADORES, Mode, Validation, parse_mostradores, plan, validate

Stage = Callable[[JobSpec, Workspace, Progress], None]

STAGES: Mapping[str, Stage] = {"normalizador": normalise_job, "factor": round_job, "publicacion": publish_job}
"""The stages in order, by the name people read."""

__all__ = [
    "MAX_MOSTRADORES",
    "STAGES",
    "JobSpec",
    "Mode",
    "Progress",
    "Stage",
    "Validation",
    "Workspace",
    "load_spec",
    "parse_mostradores",
    "plan",
    "save_spec",
    "saved_specs",
    "validate",
]
