"""How a lakehouse lays the sell-out down, and what compaction and vacuum may not disturb."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipp.core.tables import COUNTERS, MATERIALS, RESULTS, SELLOUT
from ipp.errors import BusyError
from ipp.formats.intake.table_import import TableImporter
from ipp.storage.files.scratch import Scratch
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.maintenance import ROW_GROUP_ROWS
from tests.sample_chain import AUTHOR
from tests.waiting import PATIENCE_SECONDS

DAYS = [dt.date(2024, 1, day) for day in range(1, 4)]
NOW, WEEK = dt.timedelta(0), dt.timedelta(days=7)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "con espacio, ñ y #"


@pytest.fixture
def lakehouse(root: Path) -> DeltaLakehouse:
    return DeltaLakehouse(root)


def sales(day: dt.date, keys: list[int], units: float = 1.0) -> pl.DataFrame:
    """A day's rows, one for each key: counter and material by its digits."""
    rows = [(1 + key // 10, 1 + key % 10, day, units) for key in keys]
    return pl.DataFrame(rows, schema=SELLOUT.schema, orient="row")


def append(lakehouse: DeltaLakehouse, rows: pl.DataFrame) -> None:
    """Add a file as others may: beside the ones that are there, in any order."""
    write_deltalake(
        Path(lakehouse.address(SELLOUT)).as_uri(), rows.rename(dict(SELLOUT.labels)), mode="append"
    )


def content(lakehouse: DeltaLakehouse) -> pl.DataFrame:
    return lakehouse.scan_table(SELLOUT).collect().sort(SELLOUT.key)


def files(lakehouse: DeltaLakehouse) -> dict[str, list[str]]:
    """The names of the files that the newest version has, by day."""
    paths = DeltaTable(Path(lakehouse.address(SELLOUT)).as_uri()).file_uris()
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        day, name = path.split("/")[-2:]
        found.setdefault(day.removeprefix("fecha="), []).append(name)
    return found


def on_disk(lakehouse: DeltaLakehouse) -> set[str]:
    return {path.name for path in Path(lakehouse.address(SELLOUT)).glob("fecha=*/*")}


def scattered(lakehouse: DeltaLakehouse) -> None:
    """Three days of five files each, out of order."""
    lakehouse.replace_table(SELLOUT, pl.LazyFrame(schema=SELLOUT.schema))
    for start in (40, 0, 30, 10, 20):
        for day in DAYS:
            append(lakehouse, sales(day, list(range(start, start + 10))[::-1]))


@settings(max_examples=15, deadline=None)
@given(
    writes=st.lists(
        st.tuples(
            st.sampled_from(DAYS),
            st.lists(st.integers(0, 99), min_size=1, unique=True),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_compaction_and_vacuum_change_no_row(
    writes: list[tuple[dt.date, list[int], bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lakehouse = DeltaLakehouse(tmp_path_factory.mktemp("tables"))
    lakehouse.replace_table(SELLOUT, pl.LazyFrame(schema=SELLOUT.schema))
    for number, (day, keys, replaces) in enumerate(writes):
        rows = sales(day, keys, units=number)
        if replaces:
            lakehouse.replace_partitions(SELLOUT, rows.lazy(), [day])
        else:
            append(lakehouse, rows)
    order = [*SELLOUT.key, "units"]
    before = content(lakehouse).sort(order)
    lakehouse.compact_table(SELLOUT)
    assert_frame_equal(content(lakehouse).sort(order), before)
    compacted = files(lakehouse)
    lakehouse.vacuum_table(SELLOUT, NOW)
    assert_frame_equal(content(lakehouse).sort(order), before)
    assert [len(names) for names in compacted.values()] == [1] * before["date"].n_unique()
    assert on_disk(lakehouse) == {name for names in compacted.values() for name in names}
    for day in before["date"].unique():
        pairs = (
            lakehouse.scan_table(SELLOUT)
            .filter(pl.col("date") == day)
            .select(SELLOUT.sort_by)
            .collect()
        )
        assert_frame_equal(pairs, pairs.sort(SELLOUT.sort_by))


def test_compaction_keeps_the_metadata_of_the_last_import(lakehouse: DeltaLakehouse) -> None:
    scattered(lakehouse)
    note = {"ipp.note": "said"}
    with lakehouse.rewrite_partitions(SELLOUT) as writing:
        writing.add_partition(DAYS[0], sales(DAYS[0], [2, 1]))
        writing.commit(note)
    assert lakehouse.compact_table(SELLOUT).replaced > 0
    assert lakehouse.vacuum_table(SELLOUT, NOW).files > 0
    assert lakehouse.last_metadata(SELLOUT) == note


def test_what_is_in_order_is_not_compacted_again(lakehouse: DeltaLakehouse) -> None:
    scattered(lakehouse)
    first = lakehouse.compact_table(SELLOUT)
    assert (first.replaced, first.written) == (15, 3)
    before = files(lakehouse)
    append(lakehouse, sales(DAYS[1], [99]))
    again = lakehouse.compact_table(SELLOUT)
    assert (again.replaced, again.written) == (2, 1)
    after = files(lakehouse)
    assert [after[str(day)] == before[str(day)] for day in DAYS] == [True, False, True]


def test_a_table_without_an_order_has_its_small_files_merged(lakehouse: DeltaLakehouse) -> None:
    rows = pl.DataFrame({"job_id": ["ipp-1"] * 3, "mostrador": [3, 1, 2], "material": [1, 1, 1]})
    lakehouse.replace_table(RESULTS, rows.lazy())
    address = Path(lakehouse.address(RESULTS)).as_uri()
    write_deltalake(
        address, lakehouse.scan_table(RESULTS).rename(dict(RESULTS.labels)).collect(), mode="append"
    )
    before = lakehouse.scan_table(RESULTS).collect().sort("mostrador")
    done = lakehouse.compact_table(RESULTS)
    assert (done.replaced, done.written) == (2, 1)
    assert_frame_equal(lakehouse.scan_table(RESULTS).collect().sort("mostrador"), before)


def test_a_table_that_was_never_written_needs_nothing(
    lakehouse: DeltaLakehouse, root: Path
) -> None:
    assert lakehouse.compact_table(SELLOUT).replaced == 0
    assert lakehouse.vacuum_table(SELLOUT, WEEK).files == 0
    assert not root.exists()


def imported(lakehouse: DeltaLakehouse, file: Path, rows: pl.DataFrame) -> None:
    rows.rename(dict(SELLOUT.labels)).write_csv(file)
    importer, today = (
        TableImporter(lakehouse, Scratch(file.parent / "scratch")),
        dt.date(2024, 2, 1),
    )
    importer.import_file(SELLOUT, file, rejections=file.parent, today=today, author=AUTHOR)


def test_an_import_of_one_new_day_rewrites_that_day_alone(
    lakehouse: DeltaLakehouse, tmp_path: Path
) -> None:
    lakehouse.replace_table(COUNTERS, pl.LazyFrame({"mostrador": range(1, 11), "postal_code": 1}))
    lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": range(1, 11)}))
    imported(
        lakehouse, tmp_path / "enero.csv", pl.concat(sales(day, [5, 3, 70, 20]) for day in DAYS[:2])
    )
    before = files(lakehouse)
    imported(lakehouse, tmp_path / "nuevo.csv", sales(DAYS[2], [8, 1]))
    added = files(lakehouse)
    assert set(added) - set(before) == {str(DAYS[2])}
    assert {day: added[day] for day in before} == before
    imported(
        lakehouse,
        tmp_path / "corregido.csv",
        pl.concat([sales(DAYS[0], [5]), sales(DAYS[1], [3], units=9.0)]),
    )
    corrected = files(lakehouse)
    assert [corrected[str(day)] == added[str(day)] for day in DAYS] == [True, False, True]


def test_a_large_day_is_stored_by_counter_in_groups_that_can_be_skipped(
    lakehouse: DeltaLakehouse, tmp_path: Path
) -> None:
    """Use many times a reader's or a writer's batch, unordered: each counter ends up contiguous."""
    counters, materials = 1_000, 300
    lakehouse.replace_table(
        COUNTERS, pl.LazyFrame({"mostrador": range(counters), "postal_code": 1})
    )
    lakehouse.replace_table(MATERIALS, pl.LazyFrame({"material": range(materials)}))
    pairs = pl.DataFrame({"mostrador": range(1, counters)}).join(
        pl.DataFrame({"material": range(1, materials)}), how="cross"
    )
    rows = pairs.sample(fraction=1, shuffle=True, seed=1).with_columns(date=DAYS[0], units=1.0)
    imported(lakehouse, tmp_path / "dia.csv", rows)
    (file,) = Path(lakehouse.address(SELLOUT)).glob("fecha=*/*.parquet")
    stored = pq.ParquetFile(file).metadata
    groups = [stored.row_group(number) for number in range(stored.num_row_groups)]
    assert max(group.num_rows for group in groups) <= ROW_GROUP_ROWS
    spans = [(group.column(0).statistics.min, group.column(0).statistics.max) for group in groups]
    assert len(spans) > 3
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


READER = """
import sys
from pathlib import Path
import polars as pl
from ipp.core.tables import SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
rows = DeltaLakehouse(Path(sys.argv[1])).scan_table(SELLOUT).filter(pl.col("mostrador") > 2)\
.select(pl.col("units").sum())
print("in", flush=True)
sys.stdin.readline()
print(rows.collect().item())
"""


@contextmanager
def reading(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has begun to read and finishes when it is told to."""
    command = [sys.executable, "-c", READER, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "in\n"
        yield reader


def test_who_began_to_read_is_not_disturbed(lakehouse: DeltaLakehouse, root: Path) -> None:
    """However old the files are that it reads: what counts is when they were replaced."""
    scattered(lakehouse)
    long_ago = time.time() - 30 * 86_400
    for file in Path(lakehouse.address(SELLOUT)).glob("fecha=*/*"):
        os.utime(file, (long_ago, long_ago))
    before = on_disk(lakehouse)
    with reading(root) as reader:
        assert lakehouse.compact_table(SELLOUT).replaced == 15
        assert lakehouse.vacuum_table(SELLOUT, WEEK).files == 0
        assert reader.communicate("go\n", timeout=PATIENCE_SECONDS)[0] == f"{3 * 30 * 1.0}\n"
    assert before < on_disk(lakehouse)
    assert lakehouse.vacuum_table(SELLOUT, NOW).files == 15
    assert not before & on_disk(lakehouse)


def test_a_vacuum_says_what_it_freed(lakehouse: DeltaLakehouse) -> None:
    scattered(lakehouse)
    size = sum(file.stat().st_size for file in Path(lakehouse.address(SELLOUT)).glob("fecha=*/*"))
    lakehouse.compact_table(SELLOUT)
    assert lakehouse.vacuum_table(SELLOUT, NOW).size == size


def test_a_vacuum_of_more_days_than_the_table_remembers_is_refused(
    lakehouse: DeltaLakehouse,
) -> None:
    with pytest.raises(ValueError, match="longer than a table remembers"):
        lakehouse.vacuum_table(SELLOUT, WEEK + dt.timedelta(days=1))


WRITER = """
import datetime as dt, sys
from pathlib import Path
import numpy as np
import polars as pl
from ipp.core.tables import SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
random = np.random.default_rng(1).integers(0, 2**62, (2, 10_000_000))
rows = pl.LazyFrame({"mostrador": random[0], "material": random[1], "units": 1.0})
rows = rows.with_columns(date=dt.date(2024, 1, 1))
DeltaLakehouse(Path(sys.argv[1])).replace_table(SELLOUT, rows)
"""


def test_what_a_killed_writer_left_goes_when_it_is_old(
    lakehouse: DeltaLakehouse, root: Path
) -> None:
    """Whole files of a version that never was, and the half of one under another ending."""
    scattered(lakehouse)
    before, kept = content(lakehouse), on_disk(lakehouse)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root)]) as writer:
        while not any("#" in name for name in on_disk(lakehouse)):
            assert writer.poll() is None, "ended before it was killed"
            time.sleep(0.005)
        writer.kill()
    whole = Path(lakehouse.address(SELLOUT)) / f"fecha={DAYS[0]}" / "part-00009-nobodys.parquet"
    whole.write_bytes(b"PAR1")
    left = on_disk(lakehouse) - kept
    assert lakehouse.vacuum_table(SELLOUT, WEEK).files == 0
    assert on_disk(lakehouse) == kept | left
    long_ago = time.time() - 8 * 86_400
    for name in left:
        os.utime(whole.with_name(name), (long_ago, long_ago))
    assert lakehouse.vacuum_table(SELLOUT, WEEK).files == len(left)
    assert on_disk(lakehouse) == kept
    assert_frame_equal(content(lakehouse), before)


def test_upkeep_waits_for_a_writer_and_says_so(lakehouse: DeltaLakehouse, root: Path) -> None:
    scattered(lakehouse)
    impatient = DeltaLakehouse(root, patience=0.05)
    with lakehouse.write_lock(SELLOUT):
        with pytest.raises(BusyError, match="Otro proceso está escribiendo la tabla sellout"):
            impatient.compact_table(SELLOUT)
        with pytest.raises(BusyError, match="Otro proceso está escribiendo la tabla sellout"):
            impatient.vacuum_table(SELLOUT, WEEK)


IMPORTS = """
import datetime as dt, sys
from pathlib import Path
import polars as pl
from ipp.core.tables import SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
lakehouse = DeltaLakehouse(Path(sys.argv[1]))
for number in range(10):
    day = dt.date(2024, 2, 1 + number)
    rows = pl.LazyFrame({"mostrador": [3, 1, 2], "material": 1, "units": 1.0})\
.with_columns(date=day)
    lakehouse.replace_partitions(SELLOUT, rows, [day])
"""


def test_upkeep_beside_a_process_that_writes_loses_nothing(
    lakehouse: DeltaLakehouse, root: Path
) -> None:
    scattered(lakehouse)
    with subprocess.Popen([sys.executable, "-c", IMPORTS, str(root)]) as writer:
        rounds = 0
        while writer.poll() is None:
            lakehouse.compact_table(SELLOUT)
            lakehouse.vacuum_table(SELLOUT, NOW)
            rounds += 1
    assert writer.returncode == 0
    assert rounds > 1
    lakehouse.compact_table(SELLOUT)
    sold = (
        lakehouse.scan_table(SELLOUT)
        .group_by("date")
        .agg(pl.len(), pl.col("units").sum())
        .sort("date")
        .collect()
    )
    assert sold["len"].to_list() == [50] * 3 + [3] * 10
    assert sold["units"].to_list() == [50.0] * 3 + [3.0] * 10
