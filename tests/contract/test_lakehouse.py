"""What every `Lakehouse` keeps, whatever it is made of."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from ipp.core.contract import Kind, Table
from ipp.core.tables import (
    COUNTERS,
    CURVES,
    FAILURES,
    IMPORTABLE_TABLES,
    NOTICES,
    PROCESSES,
    RESULTS,
    SELLOUT,
)
from ipp.errors import BusyError
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from ipp.storage.lakehouse.lakehouse import Lakehouse
from ipp.storage.lakehouse.table_part import write_part

TABLES = [*IMPORTABLE_TABLES.values(), RESULTS, CURVES, FAILURES, PROCESSES, NOTICES]
FIRST, SECOND, THIRD = (dt.date(2024, 1, day) for day in (1, 2, 3))


@pytest.fixture(params=[DeltaLakehouse], ids=lambda factory: factory.__name__)
def lakehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Lakehouse:
    factory: Callable[[Path], Lakehouse] = request.param
    return factory(tmp_path / "con espacio, ñ y #")


def sales(*rows: tuple[int, int, dt.date, float]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema=SELLOUT.schema, orient="row")


def content(lakehouse: Lakehouse, table: Table = SELLOUT) -> pl.DataFrame:
    return lakehouse.scan_table(table).collect().sort(table.key)


def filled(table: Table) -> pl.DataFrame:
    """Two rows: one with every column filled, one with nothing but the key."""
    samples = {
        Kind.ID: 7_051_602, Kind.TEXT: "cápsulas", Kind.NUMBER: 12.5,
        Kind.COUNT: 3, Kind.DATE: FIRST, Kind.FLAG: True,
    }  # fmt: skip
    full = {column.name: samples[column.kind] for column in table.columns}
    others = {Kind.ID: 1, Kind.TEXT: "a", Kind.DATE: SECOND, Kind.NUMBER: 1.0}
    bare = {
        column.name: others[column.kind] if column.name in table.key else None
        for column in table.columns
    }
    return pl.DataFrame([full, bare], schema=table.schema)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_a_table_never_written_is_empty(lakehouse: Lakehouse, table: Table) -> None:
    assert not lakehouse.table_exists(table)
    assert_frame_equal(content(lakehouse, table), pl.DataFrame(schema=table.schema))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_a_table_gives_back_what_was_written(lakehouse: Lakehouse, table: Table) -> None:
    rows = filled(table)
    lakehouse.replace_table(table, rows.lazy())
    assert lakehouse.table_exists(table)
    assert_frame_equal(content(lakehouse, table), rows.sort(table.key))


def test_replace_leaves_nothing_of_what_was(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0), (1, 2, SECOND, 2.0)))
    lakehouse.replace_table(SELLOUT, sales((1, 3, THIRD, 3.0)))
    assert_frame_equal(content(lakehouse), sales((1, 3, THIRD, 3.0)).collect())


def test_replace_by_no_rows_empties_a_table(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
    lakehouse.replace_table(SELLOUT, sales())
    assert lakehouse.table_exists(SELLOUT)
    assert content(lakehouse).is_empty()


def test_a_table_can_be_written_empty_first(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(SELLOUT, sales())
    assert lakehouse.table_exists(SELLOUT)
    assert_frame_equal(content(lakehouse), pl.DataFrame(schema=SELLOUT.schema))


def test_replace_partitions_touches_only_those_named(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(
        SELLOUT, sales((1, 1, FIRST, 1.0), (1, 1, SECOND, 2.0), (1, 1, THIRD, 3.0))
    )
    lakehouse.replace_partitions(
        SELLOUT, sales((2, 2, FIRST, 9.0), (2, 2, THIRD, 8.0)), [FIRST, THIRD]
    )
    expected = sales((1, 1, SECOND, 2.0), (2, 2, FIRST, 9.0), (2, 2, THIRD, 8.0)).collect()
    assert_frame_equal(content(lakehouse), expected)


def test_replace_partitions_may_be_the_first_write(lakehouse: Lakehouse) -> None:
    lakehouse.replace_partitions(SELLOUT, sales((1, 1, FIRST, 1.0)), [FIRST])
    assert_frame_equal(content(lakehouse), sales((1, 1, FIRST, 1.0)).collect())


def test_a_partition_named_without_rows_ends_empty(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(
        SELLOUT, sales((1, 1, FIRST, 1.0), (1, 1, SECOND, 2.0), (1, 1, THIRD, 3.0))
    )
    lakehouse.replace_partitions(SELLOUT, sales((2, 2, FIRST, 9.0)), [FIRST, SECOND])
    lakehouse.replace_partitions(SELLOUT, sales(), [THIRD])
    assert_frame_equal(content(lakehouse), sales((2, 2, FIRST, 9.0)).collect())


def test_partitions_by_text_are_replaced_by_their_value(lakehouse: Lakehouse) -> None:
    rows = filled(RESULTS).drop("job_id").head(1)
    jobs = [rows.select(pl.lit(job).alias("job_id"), pl.all()) for job in ("ipp-1", "ipp-2")]
    for job, frame in zip(("ipp-1", "ipp-2"), jobs, strict=True):
        lakehouse.replace_partitions(RESULTS, frame.lazy(), [job])
    lakehouse.replace_partitions(RESULTS, jobs[0].lazy(), ["ipp-1"])
    assert_frame_equal(content(lakehouse, RESULTS), pl.concat(jobs))


def test_no_partition_named_changes_nothing(lakehouse: Lakehouse) -> None:
    lakehouse.replace_partitions(SELLOUT, sales(), [])
    assert not lakehouse.table_exists(SELLOUT)


@pytest.mark.parametrize(
    "table", [RESULTS, IMPORTABLE_TABLES["materiales"]], ids=lambda table: table.title
)
def test_a_table_of_an_older_version_gets_the_columns_that_are_new(
    lakehouse: Lakehouse, table: Table
) -> None:
    """Rows written before stay where they are not replaced; columns that they lacked are empty."""
    older = replace(table, columns=table.columns[: len(table.key) + 3])
    lakehouse.replace_table(older, filled(older).lazy())
    rows = filled(table)
    if table.partition_by:
        moved = rows.with_columns(job_id=pl.lit("ipp-2"))
        lakehouse.replace_partitions(table, moved.lazy(), ["ipp-2"])
        before = table.conform_rows(filled(older).lazy()).collect()
        assert_frame_equal(content(lakehouse, table), pl.concat([before, moved]).sort(table.key))
    else:
        lakehouse.replace_table(table, rows.lazy())
        assert_frame_equal(content(lakehouse, table), rows.sort(table.key))


def test_a_write_is_one_version_labelled_for_people(lakehouse: Lakehouse) -> None:
    if not isinstance(lakehouse, DeltaLakehouse):
        pytest.skip("only Delta tables have versions")
    rows = sales((1, 1, FIRST, 1.0), (1, 1, SECOND, 2.0))
    lakehouse.replace_table(SELLOUT, rows)
    lakehouse.replace_partitions(SELLOUT, rows, [FIRST, SECOND])
    table = DeltaTable(Path(lakehouse.address(SELLOUT)).as_uri())
    assert table.version() == 1
    assert [field.name for field in table.schema().fields] == [
        "mostrador",
        "material",
        "fecha",
        "piezas",
    ]
    assert table.metadata().partition_columns == ["fecha"]


def test_who_opens_a_table_reads_few_commits_however_often_it_was_written(
    lakehouse: Lakehouse,
) -> None:
    days = [FIRST + dt.timedelta(days=n) for n in range(32)]
    for day in days:
        lakehouse.replace_partitions(SELLOUT, sales((1, 1, day, 1.0)), [day])
    log = Path(lakehouse.address(SELLOUT), "_delta_log")
    summed_up = json.loads((log / "_last_checkpoint").read_text())["version"]
    assert [int(file.stem) for file in log.glob("*.json") if int(file.stem) > summed_up + 10] == []
    assert content(lakehouse)["date"].to_list() == days


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_the_log_has_the_bounds_of_a_key_and_of_nothing_else(
    lakehouse: Lakehouse, table: Table
) -> None:
    lakehouse.replace_table(table, filled(table).lazy())
    actions = pl.DataFrame(
        DeltaTable(Path(lakehouse.address(table)).as_uri()).get_add_actions(flatten=True)
    )
    bounds = {name.removeprefix("min.") for name in actions.columns if name.startswith("min.")}
    assert bounds == {table.labels[name] for name in table.key} - {
        table.labels[name] for name in table.partition_by
    }
    assert actions["num_records"].sum() == 2


def test_who_reads_an_older_version_is_not_disturbed(lakehouse: Lakehouse) -> None:
    before = sales((1, 1, FIRST, 1.0), (1, 1, SECOND, 2.0))
    lakehouse.replace_table(SELLOUT, before)
    reading = lakehouse.scan_table(SELLOUT)
    lakehouse.replace_partitions(SELLOUT, sales((1, 1, FIRST, 7.0)), [FIRST])
    lakehouse.replace_table(SELLOUT, sales((9, 9, THIRD, 9.0)))
    assert_frame_equal(reading.collect().sort("date"), before.collect())


def test_a_table_may_be_replaced_by_what_is_computed_from_it(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
    lakehouse.replace_table(
        SELLOUT, lakehouse.scan_table(SELLOUT).with_columns(pl.col("units") + 1)
    )
    assert_frame_equal(content(lakehouse), sales((1, 1, FIRST, 2.0)).collect())


def failing() -> pl.LazyFrame:
    """Rows whose computation breaks down after the first ones."""

    def fail(frame: pl.DataFrame) -> pl.DataFrame:
        if frame.select((pl.col("mostrador") > 150_000).any()).item():
            raise OSError("the disk went away")
        return frame

    rows = pl.LazyFrame({"mostrador": range(200_000)}, schema={"mostrador": pl.Int64}).with_columns(
        material=pl.lit(1, pl.Int64), date=pl.lit(FIRST), units=pl.lit(1.0)
    )
    return rows.map_batches(fail, schema=SELLOUT.schema, streamable=True)


def test_a_source_that_fails_leaves_the_table_as_it_was(lakehouse: Lakehouse) -> None:
    before = sales((1, 1, FIRST, 1.0))
    lakehouse.replace_table(SELLOUT, before)
    with pytest.raises(Exception, match="the disk went away"):
        lakehouse.replace_table(SELLOUT, failing())
    with pytest.raises(Exception, match="the disk went away"):
        lakehouse.replace_partitions(SELLOUT, failing(), [FIRST])
    assert_frame_equal(content(lakehouse), before.collect())


def test_a_source_that_fails_at_the_first_write_leaves_no_table(lakehouse: Lakehouse) -> None:
    with pytest.raises(Exception, match="the disk went away"):
        lakehouse.replace_table(SELLOUT, failing())
    assert not lakehouse.table_exists(SELLOUT)
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
    assert_frame_equal(content(lakehouse), sales((1, 1, FIRST, 1.0)).collect())


def rewrite(lakehouse: Lakehouse, table: Table, rows: pl.DataFrame, **metadata: object) -> None:
    """Commit the rows of each partition, one after the other."""
    parts = rows.partition_by(table.partition_by) if table.partition_by else [rows]
    with lakehouse.rewrite_partitions(table) as writing:
        for part in parts:
            writing.add_partition(
                part.row(0, named=True)[table.partition_by[0]] if table.partition_by else None, part
            )
        writing.commit(metadata)


IMPORTED = list(IMPORTABLE_TABLES.values())


@pytest.mark.parametrize("table", IMPORTED, ids=lambda table: table.title)
def test_a_rewrite_gives_back_what_was_written(lakehouse: Lakehouse, table: Table) -> None:
    for rows in (filled(table), filled(table).head(1)):
        rewrite(lakehouse, table, rows)
        kept = filled(table) if table.partition_by else rows
        assert_frame_equal(content(lakehouse, table), kept.sort(table.key))


def test_a_rewrite_touches_only_the_partitions_added(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(
        SELLOUT, sales((1, 1, FIRST, 1.0), (1, 1, SECOND, 2.0), (1, 1, THIRD, 3.0))
    )
    rewrite(lakehouse, SELLOUT, sales((2, 2, FIRST, 9.0), (2, 2, THIRD, 8.0)).collect())
    expected = sales((1, 1, SECOND, 2.0), (2, 2, FIRST, 9.0), (2, 2, THIRD, 8.0)).collect()
    assert_frame_equal(content(lakehouse), expected)


def test_a_rewrite_that_is_not_committed_leaves_nothing(lakehouse: Lakehouse) -> None:
    before = sales((1, 1, FIRST, 1.0)).collect()
    lakehouse.replace_table(SELLOUT, before.lazy())
    version = lakehouse.version_id(SELLOUT)
    files = set(Path(lakehouse.address(SELLOUT)).rglob("*.parquet"))
    with lakehouse.rewrite_partitions(SELLOUT) as writing:
        writing.add_partition(FIRST, sales((2, 2, FIRST, 9.0)).collect())
        assert_frame_equal(content(lakehouse), before)
    with pytest.raises(KeyboardInterrupt), lakehouse.rewrite_partitions(SELLOUT) as writing:
        writing.add_partition(SECOND, sales((2, 2, SECOND, 9.0)).collect())
        raise KeyboardInterrupt
    assert_frame_equal(content(lakehouse), before)
    assert lakehouse.version_id(SELLOUT) == version
    assert set(Path(lakehouse.address(SELLOUT)).rglob("*.parquet")) == files


@pytest.mark.parametrize("table", IMPORTED, ids=lambda table: table.title)
def test_a_rewrite_adds_the_columns_that_are_new(lakehouse: Lakehouse, table: Table) -> None:
    older = replace(table, columns=table.columns[: len(table.key)], references={})
    lakehouse.replace_table(older, filled(older).lazy())
    rows = filled(table).tail(1)
    rewrite(lakehouse, table, rows)
    stored = content(lakehouse, table)
    assert_frame_equal(stored.join(rows.select(table.key), on=table.key, how="semi"), rows)
    assert stored.height == (2 if table.partition_by else 1)


@pytest.mark.parametrize("table", IMPORTED, ids=lambda table: table.title)
def test_a_rewrite_logs_what_a_replacement_logs(
    lakehouse: Lakehouse, tmp_path: Path, table: Table
) -> None:
    other = DeltaLakehouse(tmp_path / "other")
    rewrite(lakehouse, table, filled(table))
    other.replace_table(table, filled(table).lazy())
    logs = [DeltaTable(Path(each.address(table)).as_uri()) for each in (lakehouse, other)]
    assert logs[0].schema() == logs[1].schema()
    assert logs[0].protocol() == logs[1].protocol()
    assert logs[0].metadata().configuration == logs[1].metadata().configuration
    assert logs[0].metadata().partition_columns == logs[1].metadata().partition_columns
    own, others = (
        pl.DataFrame(log.get_add_actions(flatten=True))
        .drop("path", "size_bytes", "modification_time")
        .sort(pl.all())
        for log in logs
    )
    assert_frame_equal(own, others, check_column_order=False)


def test_the_metadata_of_a_rewrite_stays_until_rows_change(lakehouse: Lakehouse) -> None:
    assert lakehouse.last_metadata(SELLOUT) == {}
    note = {"ipp.note": {"said": ["a", 1]}}
    rewrite(lakehouse, SELLOUT, sales((2, 1, FIRST, 1.0), (1, 1, SECOND, 1.0)).collect(), **note)
    rewrite(lakehouse, SELLOUT, sales((1, 1, FIRST, 1.0)).collect(), **note)
    assert lakehouse.last_metadata(SELLOUT) == note
    lakehouse.compact_table(SELLOUT)
    lakehouse.vacuum_table(SELLOUT, dt.timedelta(0))
    assert lakehouse.last_metadata(SELLOUT) == note
    lakehouse.replace_partitions(SELLOUT, sales((1, 1, FIRST, 1.0)), [FIRST])
    assert lakehouse.last_metadata(SELLOUT) == {}


def test_no_two_versions_have_the_same_id(lakehouse: Lakehouse) -> None:
    seen = [lakehouse.version_id(SELLOUT)]
    for _ in range(2):
        lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
        seen.append(lakehouse.version_id(SELLOUT))
        assert lakehouse.version_id(SELLOUT) == seen[-1]
    shutil.rmtree(lakehouse.address(SELLOUT))
    for _ in range(2):
        lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
        seen.append(lakehouse.version_id(SELLOUT))
    assert seen[0] == ""
    assert len(set(seen)) == 5


def test_a_partition_value_that_could_say_more_is_refused(lakehouse: Lakehouse) -> None:
    with pytest.raises(ValueError, match="not a partition value"):
        lakehouse.replace_partitions(RESULTS, filled(RESULTS).lazy(), ["x' OR '1'='1"])


def test_tables_do_not_touch_each_other(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(COUNTERS, filled(COUNTERS).lazy())
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
    assert_frame_equal(content(lakehouse, COUNTERS), filled(COUNTERS).sort("mostrador"))


PARTITIONED = [table for table in TABLES if len(table.partition_by) == 1]


@pytest.mark.parametrize("table", PARTITIONED, ids=lambda table: table.title)
def test_a_scan_of_partitions_has_their_rows_and_no_other(
    lakehouse: Lakehouse, table: Table
) -> None:
    assert_frame_equal(
        lakehouse.scan_table(table, ["a"]).collect(), pl.DataFrame(schema=table.schema)
    )
    rows, (name,) = filled(table), table.partition_by
    lakehouse.replace_table(table, rows.lazy())
    values = rows[name].to_list()
    for some in ([], values[:1], values[1:], values):
        there = lakehouse.scan_table(table, some).collect().sort(table.key)
        assert_frame_equal(there, rows.filter(pl.col(name).is_in(some)).sort(table.key))
    other = {Kind.TEXT: "otro", Kind.DATE: THIRD}[table.by_name[name].kind]
    assert_frame_equal(lakehouse.scan_table(table, [other]).collect(), rows.clear())


def test_a_scan_of_partitions_has_columns_that_older_files_lack(lakehouse: Lakehouse) -> None:
    old = replace(RESULTS, columns=RESULTS.columns[:-1])
    lakehouse.replace_table(old, filled(old).lazy())
    there = lakehouse.scan_table(RESULTS, filled(old)["job_id"]).collect().sort(RESULTS.key)
    assert_frame_equal(there, RESULTS.conform_rows(filled(old).lazy()).collect().sort(RESULTS.key))
    lakehouse.replace_partitions(RESULTS, filled(RESULTS)[:1].lazy(), ["cápsulas"])
    there = lakehouse.scan_table(RESULTS, filled(old)["job_id"]).collect().sort(RESULTS.key)
    assert_frame_equal(there, content(lakehouse, RESULTS))


def test_a_scan_is_of_the_moment_it_was_made(lakehouse: Lakehouse) -> None:
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 1.0)))
    before = lakehouse.scan_table(SELLOUT)
    lakehouse.replace_table(SELLOUT, sales((1, 2, SECOND, 2.0)))
    assert before.collect().rows() == [(1, 1, FIRST, 1.0)]
    assert content(lakehouse).rows() == [(1, 2, SECOND, 2.0)]


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_table_that_took_the_place_of_another_is_read_instead(
    lakehouse: Lakehouse, tmp_path: Path, commits: int
) -> None:
    """Whether it has fewer commits than the one before, as many, or more."""
    for units in (1.0, 2.0):
        lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, units)))
    assert content(lakehouse)["units"].to_list() == [2.0]
    shutil.rmtree(lakehouse.address(SELLOUT))
    assert content(lakehouse).is_empty()
    other = DeltaLakehouse(tmp_path / "con espacio, ñ y #")
    for _ in range(commits):
        other.replace_table(SELLOUT, sales((2, 2, SECOND, 9.0)))
    assert content(lakehouse).rows() == [(2, 2, SECOND, 9.0)]


def test_a_log_that_was_cut_meanwhile_is_read_from_its_checkpoint(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    lakehouse.replace_table(SELLOUT, sales((1, 1, FIRST, 0.0)))
    assert content(lakehouse)["units"].to_list() == [0.0]
    other = DeltaLakehouse(tmp_path / "con espacio, ñ y #")
    for units in range(1, 15):
        other.replace_table(SELLOUT, sales((1, 1, FIRST, float(units))))
    log = Path(lakehouse.address(SELLOUT), "_delta_log")
    for file in log.iterdir():
        os.utime(file, (0, 0))
    DeltaTable(Path(lakehouse.address(SELLOUT)).as_uri()).cleanup_metadata()
    assert not (log / f"{1:020}.json").exists()
    assert content(lakehouse)["units"].to_list() == [14.0]


def _write_elsewhere(root: Path, table: Table, job_id: str, rows: int) -> subprocess.Popen[bytes]:
    """Another process that replaces one partition of ``table``."""
    code = (
        "import sys, polars as pl; from pathlib import Path;"
        " from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse;"
        "from ipp.core.tables import RESULTS;"
        f"frame = pl.LazyFrame({{'job_id': ['{job_id}'] * {rows},"
        f" 'mostrador': range(1, {rows + 1}), 'material': 1}});"
        f"DeltaLakehouse(Path(sys.argv[1])).replace_partitions(RESULTS, frame, ['{job_id}'])"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(root)])


def test_writers_of_a_table_that_is_not_there_yet_do_not_wipe_each_other(tmp_path: Path) -> None:
    writers = [_write_elsewhere(tmp_path, RESULTS, f"ipp-{k}", 50) for k in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    jobs = (
        DeltaLakehouse(tmp_path)
        .scan_table(RESULTS)
        .group_by("job_id")
        .len()
        .sort("job_id")
        .collect()
    )
    assert jobs.rows() == [(f"ipp-{k}", 50) for k in range(4)]


def test_a_block_of_writing_keeps_others_out_and_says_so(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    impatient = DeltaLakehouse(tmp_path / "con espacio, ñ y #", patience=0.05)
    with lakehouse.write_lock(SELLOUT):
        lakehouse.replace_table(
            SELLOUT, sales((1, 11, FIRST, 2.0))
        )  # may be entered again inside itself
        with pytest.raises(BusyError, match="Otro proceso está escribiendo la tabla sellout"):
            impatient.replace_table(SELLOUT, sales((1, 11, FIRST, 3.0)))
        impatient.replace_table(COUNTERS, pl.LazyFrame({"mostrador": [1], "postal_code": [1]}))
    assert content(lakehouse)["units"].to_list() == [2.0]
    impatient.replace_table(SELLOUT, sales((1, 11, FIRST, 3.0)))
    assert content(lakehouse)["units"].to_list() == [3.0]


def test_a_writer_that_is_killed_lets_the_next_one_in(lakehouse: Lakehouse, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        " from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse;"
        "from ipp.core.tables import SELLOUT;\n"
        "with DeltaLakehouse(Path(sys.argv[1])).write_lock(SELLOUT):"
        " print('in', flush=True); time.sleep(900)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "con espacio, ñ y #")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"in\n"
        writer.kill()
    lakehouse.replace_table(SELLOUT, sales((1, 11, FIRST, 2.0)))
    assert content(lakehouse)["units"].to_list() == [2.0]


BY_JOB = [RESULTS, CURVES, FAILURES, NOTICES]


def rows_of_job(table: Table, job_id: str) -> pl.DataFrame:
    return filled(table).with_columns(job_id=pl.lit(job_id))


def replace_job(
    lakehouse: Lakehouse, table: Table, job_id: str, folder: Path, *parts: pl.DataFrame
) -> None:
    folder.mkdir()
    for number, part in enumerate(parts):
        write_part(table, part.lazy(), folder / str(number))
    lakehouse.replace_with_parts(table, job_id, folder)


@pytest.mark.parametrize("table", BY_JOB, ids=lambda table: table.title)
@pytest.mark.parametrize("written", [False, True], ids=["new", "written before"])
def test_parts_replace_one_partition_and_no_other(
    lakehouse: Lakehouse, tmp_path: Path, table: Table, written: bool
) -> None:
    if written:
        lakehouse.replace_table(table, rows_of_job(table, "ipp-0").lazy())
    one, two = rows_of_job(table, "ipp-1"), rows_of_job(table, "ipp-2")
    replace_job(lakehouse, table, "ipp-1", tmp_path / "a", one[:1], one[:0], one[1:])
    replace_job(lakehouse, table, "ipp-2", tmp_path / "b", two)
    replace_job(lakehouse, table, "ipp-1", tmp_path / "c", one[:1])
    kept = [rows_of_job(table, "ipp-0")] if written else []
    assert_frame_equal(content(lakehouse, table), pl.concat([*kept, one[:1], two]).sort(table.key))
    replace_job(lakehouse, table, "ipp-1", tmp_path / "d", one[:0])
    assert_frame_equal(content(lakehouse, table), pl.concat([*kept, two]).sort(table.key))
    lakehouse.compact_table(table)
    assert_frame_equal(content(lakehouse, table), pl.concat([*kept, two]).sort(table.key))


def test_parts_give_an_older_table_its_new_columns(lakehouse: Lakehouse, tmp_path: Path) -> None:
    old = replace(RESULTS, columns=RESULTS.columns[:-1])
    lakehouse.replace_table(old, rows_of_job(old, "ipp-0").lazy())
    new = rows_of_job(RESULTS, "ipp-1")
    replace_job(lakehouse, RESULTS, "ipp-1", tmp_path / "a", new)
    before = RESULTS.conform_rows(rows_of_job(old, "ipp-0").lazy()).collect()
    assert_frame_equal(content(lakehouse, RESULTS), pl.concat([before, new]).sort(RESULTS.key))


def test_delta_knows_the_rows_and_the_bounds_of_a_part(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    rows = rows_of_job(RESULTS, "ipp-1")
    replace_job(lakehouse, RESULTS, "ipp-1", tmp_path / "a", rows)
    (action,) = pl.DataFrame(
        DeltaTable(lakehouse.address(RESULTS)).get_add_actions(flatten=True)
    ).iter_rows(named=True)
    assert action["num_records"] == 2
    assert (action["min.mostrador"], action["max.mostrador"]) == (1, 7_051_602)
    assert action["null_count.material"] == 0


def test_a_value_that_is_no_name_is_not_written_into_a_path(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="not a partition value"):
        replace_job(lakehouse, RESULTS, "../ipp", tmp_path / "a")
    assert not lakehouse.table_exists(RESULTS)
