"""The adapters of one machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipp.entrypoints.clock import new_job_id, utc_now
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.stage_worker import Worker
from ipp.jobs.job import Job
from ipp.jobs.job_service import JobService, preparing, recalling
from ipp.jobs.reconciler import Reconciler
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.jobs.unreadable_job import UnreadableJobs
from ipp.pipeline.runners.local_runner import Workspace
from ipp.pipeline.runners.process_pool import Crew
from ipp.settings import Settings
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import TableWarehouse
from ipp.storage.warehouse.warehouse import Warehouse

STAGE = (sys.executable, "-m", "ipp.entrypoints.stage")
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
