"""A Databricks workspace over HTTP in a process of its own: the public API, with real stages."""

from tests.cloud.workspace.bundle import bundle_jobs
from tests.cloud.workspace.definition import JobDefinition, Volumes
from tests.cloud.workspace.fault import Fault, Weather
from tests.cloud.workspace.run import End, Plan, Wait
from tests.cloud.workspace.workspace_process import Effect, Workspace, run_workspace

__all__ = [
    "Effect",
    "End",
    "Fault",
    "JobDefinition",
    "Plan",
    "Volumes",
    "Wait",
    "Weather",
    "Workspace",
    "bundle_jobs",
    "run_workspace",
]
