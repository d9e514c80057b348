"""Vacuum removes what nobody needs any more, and nothing else: whatever there is, however old."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.tables import CURVES, PROCESSES, RESULTS
from ipp.jobs.engines.run_table import RETENTION_SECONDS, RunTable
from ipp.jobs.expired_data import PARTIAL_RETENTION, FileCleaner, delete_results
from ipp.jobs.job import RETENTION
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Left:
    """A file of a job, and its age."""

    bucket: str
    job_id: str
    name: str
    age: dt.timedelta

    def write(self, root: Path) -> Path:
        path = root / self.bucket / self.job_id / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        return path


FILES = st.builds(
    Left,
    st.sampled_from(["ipp-raw", "ipp-processed"]),
    st.sampled_from(["ipp-a", "ipp-b", "ipp-c", "ajeno_"]),
    st.sampled_from(["solicitud.json", "7.parquet", ".raw_data.xlsx.1-ab.partial"]),
    st.sampled_from([0, 1, 23, 25, 167, 169, 10_000]).map(lambda hours: hours * HOUR),
)


@settings(max_examples=60)
@given(
    left=st.lists(FILES, max_size=14, unique_by=lambda f: (f.bucket, f.job_id, f.name)),
    live=st.sets(st.sampled_from(["ipp-a", "ipp-b", "ipp-c"])),
)
def test_files_go_with_their_job_and_unfinished_ones_by_age(
    left: list[Left], live: set[str]
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        paths = {file: file.write(root) for file in left}
        for file, path in paths.items():
            moment = (NOW - file.age).timestamp()
            os.utime(path, (moment, moment))
        for directory in {path.parent for path in paths.values()}:
            os.utime(directory, (0, 0))  # Reading or removing a neighbour is no sign of life.
        report = FileCleaner(root, live.__contains__).remove_files(NOW)
        ages: dict[tuple[str, str], list[dt.timedelta]] = {}
        for file in left:
            ages.setdefault((file.bucket, file.job_id), []).append(file.age)
        gone = set()
        for file, path in paths.items():
            young = min(ages[file.bucket, file.job_id]) <= RETENTION
            whole_job = file.job_id.startswith("ipp-") and file.job_id not in live and not young
            unfinished = file.name.endswith(".partial") and file.age > PARTIAL_RETENTION
            assert path.exists() == (not whole_job and not unfinished), file
            gone |= {path} if whole_job or unfinished else set()
        assert (report.files, report.size) == (len(gone), len(gone))
        assert not [*root.rglob(".borrado-*")]


def test_a_removal_that_was_killed_is_finished(tmp_path: Path) -> None:
    half = tmp_path / "ipp-raw" / ".borrado-ipp-a-1234"
    half.mkdir(parents=True)
    (half / "7.parquet").write_bytes(b"xy")
    assert FileCleaner(tmp_path, lambda _job: True).remove_files(NOW).size == 2
    assert not half.exists()


def test_results_beyond_the_retention_go_unless_their_job_is_live(tmp_path: Path) -> None:
    lakehouse = DeltaLakehouse(tmp_path)
    published = {"ipp-old": 100, "ipp-retried": 100, "ipp-young": 29, "ipp-edge": 30}
    rows = [
        {"job_id": job_id, "published_at": (NOW - days * 24 * HOUR).isoformat("T", "milliseconds")}
        for job_id, days in published.items()
    ]
    lakehouse.replace_table(PROCESSES, pl.LazyFrame(rows))
    results = [
        {"job_id": job_id, "mostrador": 1, "material": 2} for job_id in [*published, "ipp-0"]
    ]
    lakehouse.replace_table(RESULTS, pl.LazyFrame(results))
    before = NOW - 30 * 24 * HOUR
    assert delete_results(lakehouse, {"ipp-retried"}.__contains__, before) == ["ipp-old"]
    for table in (PROCESSES, RESULTS):
        left = lakehouse.scan_table(table).collect()["job_id"].to_list()
        assert set(left) >= {"ipp-retried", "ipp-young", "ipp-edge"}
        assert "ipp-old" not in left
    assert not lakehouse.table_exists(CURVES)
    assert delete_results(lakehouse, lambda _job: False, before) == ["ipp-retried"]


@pytest.mark.parametrize("live", [True, False])
def test_ended_runs_go_with_their_job(tmp_path: Path, live: bool) -> None:
    runs, now = RunTable(tmp_path / "runs.sqlite"), NOW.timestamp()
    old = runs.add_run("old", "factor", "ipp-1", 0.0)
    runs.cancel_run(old, now - RETENTION_SECONDS)
    young = runs.add_run("young", "factor", "ipp-1", 0.0)
    runs.cancel_run(young, now - RETENTION_SECONDS + 1)
    waiting = runs.add_run("waiting", "factor", "ipp-2", 0.0)
    assert runs.has_open_run("ipp-2")
    assert not runs.has_open_run("ipp-1")
    assert runs.delete_ended(now, lambda _job: live) == (0 if live else 1)
    assert [runs.get_run(run) is not None for run in (old, young, waiting)] == [live, True, True]
