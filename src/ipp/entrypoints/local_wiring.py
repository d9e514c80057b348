"""The adapters of one machine."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ipp.core.tables import RESULTS
from ipp.entrypoints.clock import new_job_id, utc_now
from ipp.formats.intake.table_import import TableImporter
from ipp.jobs.engines.local_engine import LocalEngine
from ipp.jobs.engines.run_table import RunTable
from ipp.jobs.engines.stage_worker import StageWorker
from ipp.jobs.expired_data import FileCleaner, delete_results
from ipp.jobs.job import CLOCK_MARGIN, Job
from ipp.jobs.job_service import JobService, job_preparer, recalling
from ipp.jobs.reconciler import Reconciler
from ipp.jobs.sqlite_job_store import SqliteJobStore
from ipp.jobs.unreadable_job import UnreadableJobError, UnreadableJobs
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.runners.process_pool import ProcessPool
from ipp.settings import Settings
from ipp.storage.fence import Fence
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.lakehouse import VacuumReport
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from ipp.storage.warehouse.warehouse import Warehouse

STAGE_COMMAND = (sys.executable, "-m", "ipp.entrypoints.stage")
"""The command with which a worker runs a stage, in its own process."""


@dataclass(frozen=True, slots=True)
class Application:
    """The adapters of a process, ready to use."""

    settings: Settings
    runner: LocalRunner
    warehouse: Warehouse

    def fenced_runner(self, fence: Fence) -> LocalRunner:
        """Return a runner whose writes take effect only while ``fence`` is held."""
        return replace(
            self.runner,
            lakehouse=DeltaLakehouse(self.settings.lakehouse, fence=fence),
            files=LocalFiles(self.settings.files, fence),
        )

    @property
    def importer(self) -> TableImporter:
        """The importer of files into the tables."""
        return TableImporter(self.runner.lakehouse, self.runner.scratch)

    @property
    def rejections(self) -> Path:
        """The folder for lists of rejected rows."""
        return self.settings.rejections

    @property
    def results_address(self) -> str:
        """The address of the table of published results."""
        return self.runner.lakehouse.address(RESULTS)

    @property
    def home(self) -> Path:
        """The folder that holds all data."""
        return self.settings.home


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The control plane of one machine: job service, reconciler and worker."""

    service: JobService
    reconciler: Reconciler
    worker: StageWorker
    store: SqliteJobStore
    runs: RunTable

    def is_live(self, job_id: str) -> bool:
        """Return whether a job is stored or has a run that has not ended.

        One that expired less than `CLOCK_MARGIN` ago counts: the clock may have been set forward.
        """
        try:
            stored = self.store.get_job(job_id, utc_now() - CLOCK_MARGIN)
        except UnreadableJobError:
            return True
        return stored is not None or self.runs.has_open_run(job_id)

    def delete_results(self, app: Application, before: dt.datetime) -> Sequence[str]:
        """Delete the results published before a moment; return the ids of their jobs."""
        return delete_results(app.runner.lakehouse, self.is_live, before)

    def remove_files(self, app: Application, now: dt.datetime) -> VacuumReport:
        """Remove the files of forgotten jobs and dead writers; return how many and how large."""
        return FileCleaner(app.settings.files, self.is_live).remove_files(now)

    def delete_ended_runs(self, now: dt.datetime) -> int:
        """Delete the runs of forgotten jobs; return how many there were."""
        return self.runs.delete_ended(now.timestamp(), self.is_live)


def build_application(settings: Settings) -> Application:
    """Build the adapters of a process."""
    runner = LocalRunner(
        DeltaLakehouse(settings.lakehouse),
        LocalFiles(settings.files),
        Scratch(settings.scratch),
        ProcessPool.for_this_machine(),
    )
    return Application(settings, runner, LakehouseWarehouse(runner.lakehouse))


def build_control_plane(
    application: Application,
    watch: Callable[[Job], None] = lambda _job: None,
    unreadable: UnreadableJobs | None = None,
    *,
    limited: bool = True,
) -> ControlPlane:
    """Build the control plane of this machine, which stores jobs and moves them on.

    ``watch`` is called with each job whose status changed; ``unreadable`` records the jobs that
    could not be read. ``limited`` applies the limit of running jobs per caller.
    """
    settings, files = application.settings, application.runner.files
    store = SqliteJobStore(settings.jobs, unreadable)
    reconciler = Reconciler(store, LocalEngine(settings.runs), job_preparer(files), watch)
    service = JobService(
        store,
        reconciler,
        application.warehouse,
        clock=utc_now,
        new_id=new_job_id,
        max_running=settings.max_jobs if limited else None,
        recall=recalling(files),
    )
    worker = StageWorker(settings.runs, STAGE_COMMAND)
    return ControlPlane(service, reconciler, worker, store, RunTable(settings.runs))
