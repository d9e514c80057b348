"""The adapters of one machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipp.bootstrap.moments import new_job_id, utc_now
from ipp.engines.local import LocalEngine
from ipp.engines.worker import Worker
from ipp.files.local import LocalFiles
from ipp.files.scratch import Scratch
from ipp.jobs.model import Job
from ipp.jobs.reconcile import Reconciler
from ipp.jobs.service import JobService, preparing, recalling
from ipp.jobs.sqlite import SqliteJobStore
from ipp.jobs.unreadable import UnreadableJobs
from ipp.lakehouse.delta import DeltaLakehouse
from ipp.runners.crew import Crew
from ipp.runners.local import Workspace
from ipp.settings import Settings
from ipp.warehouse.base import Warehouse
from ipp.warehouse.tables import TableWarehouse

STAGE = (sys.executable, "-m", "ipp.cli.stage")
"""How a worker runs a stage: in a process of its own."""


@dataclass(frozen=True, slots=True)
class Application:
    """A process's adapters, ready to use."""

    settings: Settings
    workspace: Workspace
    warehouse: Warehouse

    @property
    def rejections(self) -> Path:
        """Folder of the lists of refused rows."""
        return self.settings.rejections

    @property
    def home(self) -> Path:
        """Folder of everything."""
        return self.settings.home


@dataclass(frozen=True, slots=True)
class Control:
    """The control plane of one machine."""

    service: JobService
    reconciler: Reconciler
    worker: Worker


def bootstrap(environ: Mapping[str, str]) -> Application:
    """Read the settings and build the adapters.

    Raises `InvalidInputError` for a setting that cannot be used.
    """
    settings = Settings.from_environment(environ)
    workspace = Workspace(
        DeltaLakehouse(settings.lakehouse), LocalFiles(settings.files), Scratch(settings.scratch), Crew.of_machine()
    )
    return Application(settings, workspace, TableWarehouse(workspace.lakehouse))


def control(
    application: Application,
    watch: Callable[[Job], None] = lambda _job: None,
    unreadable: UnreadableJobs | None = None,
) -> Control:
    """Build what keeps and moves jobs on this machine.

    ``watch`` is told each job that is brought to a status, ``unreadable`` each that could not be
    read.
    """
    settings, workspace = application.settings, application.workspace
    settings.jobs.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteJobStore(settings.jobs, unreadable)
    reconciler = Reconciler(store, LocalEngine(settings.runs), preparing(workspace.files), watch)
    service = JobService(
        store,
        reconciler,
        application.warehouse,
        clock=utc_now,
        new_id=new_job_id,
        max_running=settings.max_jobs,
        recall=recalling(workspace.files),
    )
    return Control(service, reconciler, Worker(settings.runs, STAGE))
