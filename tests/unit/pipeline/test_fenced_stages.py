"""A stage that loses its run before any one of its writes changes nothing from then on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.parameters import Parameters
from ipp.core.tables import PROCESSES, PUBLISHED_RESULTS, RESULTS
from ipp.jobs.job import Stage
from ipp.jobs.job_plan import plan_job
from ipp.jobs.job_spec import JobSpec
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.stages import run_stage
from ipp.storage.fence import Fence, SupersededError
from ipp.storage.files.local_files import LocalFiles
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.warehouse.lakehouse_warehouse import LakehouseWarehouse
from tests.sample_chain import build_runner, write_sample

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)


@dataclass
class Countdown:
    """A fence that is lost at one of its checks, when it calls ``lose``."""

    checks: int
    lose: Callable[[], None] = lambda: None
    writer: str = "run-1"
    number: int = 1

    def check_held(self) -> None:
        self.checks -= 1
        if self.checks == 0:
            self.lose()
        if self.checks <= 0:
            raise SupersededError("relevado")


@dataclass(frozen=True)
class Held:
    """A fence that is held, or believed to be."""

    writer: str
    number: int

    def check_held(self) -> None:
        """Find it held."""


def fenced(workspace: LocalRunner, folder: Path, fence: Fence) -> LocalRunner:
    return replace(
        workspace,
        lakehouse=DeltaLakehouse(folder / "lakehouse", fence=fence),
        files=LocalFiles(folder / "files", fence),
    )


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for part in ("files", "lakehouse")
        for path in (folder / part).rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def note(seen: list[dict[str, tuple[int, bytes]]], folder: Path) -> None:
    seen.append(content(folder))


def silent(_mostrador: int) -> None:
    """Report nothing."""


@pytest.fixture
def chain(tmp_path: Path) -> tuple[LocalRunner, JobSpec]:
    workspace = write_sample(build_runner(tmp_path), materials=40, days=60)
    spec = plan_job(
        None,
        Parameters(),
        LakehouseWarehouse(workspace.lakehouse),
        job_id="ipp-1",
        created_at=NOW,
    )
    return workspace, spec


@pytest.mark.parametrize("stage", Stage)
def test_whatever_write_finds_the_run_lost_nothing_changes_from_there(
    chain: tuple[LocalRunner, JobSpec], tmp_path: Path, stage: Stage
) -> None:
    """Another worker completes the stage between two writes; the first must leave all as it is."""
    workspace, spec = chain
    for earlier in Stage:
        run_stage(earlier, spec, workspace, silent)
    rows = workspace.lakehouse.scan_table(RESULTS).collect()
    lost_at = 0
    while True:
        lost_at += 1
        seen: list[dict[str, tuple[int, bytes]]] = []
        fence = Countdown(lost_at, partial(note, seen, tmp_path))
        try:
            run_stage(stage, spec, fenced(workspace, tmp_path, fence), silent)
        except SupersededError:
            after = content(tmp_path)
            gone = {path for path in seen[0].keys() - after.keys() if ".partial" not in path}
            changed = {path for path, was in after.items() if seen[0].get(path) != was}
            # Files that were written aside, or that no version of a table has, may go.
            assert not {path for path in gone if "lakehouse" not in path}
            assert changed == set(), f"after write {lost_at}"
        else:
            break
    assert lost_at > len(spec.mostradores)
    assert_frame_equal(workspace.lakehouse.scan_table(RESULTS).collect(), rows)


@pytest.mark.parametrize("table", [PUBLISHED_RESULTS, PROCESSES])
def test_a_table_refuses_a_commit_of_who_came_before_its_last_writer(
    chain: tuple[LocalRunner, JobSpec], tmp_path: Path, table: Table
) -> None:
    """The number is in the table: not even somebody who believes to hold the fence gets past it."""
    workspace, spec = chain
    for stage in (Stage.NORMALISER, Stage.FACTOR):
        run_stage(stage, spec, workspace, silent)
    run_stage(Stage.PUBLICATION, spec, fenced(workspace, tmp_path, Held("run-1", 2)), silent)
    before = content(tmp_path)
    with pytest.raises(SupersededError):
        run_stage(Stage.PUBLICATION, spec, fenced(workspace, tmp_path, Held("run-1", 1)), silent)
    assert content(tmp_path) == before
    run_stage(Stage.PUBLICATION, spec, fenced(workspace, tmp_path, Held("run-1", 2)), silent)
    run_stage(Stage.PUBLICATION, spec, fenced(workspace, tmp_path, Held("run-2", 1)), silent)
    uri = Path(workspace.lakehouse.address(table)).as_uri()
    assert [DeltaTable(uri).transaction_version(run) for run in ("run-1", "run-2")] == [2, 1]
