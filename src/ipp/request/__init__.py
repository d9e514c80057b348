"""What a person asks for: which mostradores, with what, as of when, and whether it can be done."""

from ipp.request.plan import Mode, Validation, plan, validate
from ipp.request.spec import JobSpec, is_job_id, load_spec, save_spec, saved_specs
from ipp.request.words import MAX_MOSTRADORES, parse_mostradores

__all__ = [
    "MAX_MOSTRADORES",
    "JobSpec",
    "Mode",
    "Validation",
    "is_job_id",
    "load_spec",
    "parse_mostradores",
    "plan",
    "save_spec",
    "saved_specs",
    "validate",
]
