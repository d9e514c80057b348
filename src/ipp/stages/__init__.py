"""The three stages of a job: tables in, the core one mostrador at a time, tables and files out.

A stage reads what the one before it wrote and nothing else, so it may be run again at any time, after any
crash, and leaves the same bytes.
"""

from ipp.stages.factor import factor
from ipp.stages.job import JobSpec, Progress, Workspace, load_spec, save_spec, saved_specs
from ipp.stages.normaliser import normaliser
from ipp.stages.publication import publication
from ipp.stages.request import Mode, Validation, parse_mostradores, plan, validate

STAGES = {"normalizador": normaliser, "factor": factor, "publicacion": publication}
"""The stages in order, by the name people read."""

__all__ = [
    "STAGES",
    "JobSpec",
    "Mode",
    "Progress",
    "Validation",
    "Workspace",
    "load_spec",
    "parse_mostradores",
    "plan",
    "save_spec",
    "saved_specs",
    "validate",
]
