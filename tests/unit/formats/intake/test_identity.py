"""A file given again changes nothing, and is not read again where nothing else has happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.tables import AREA_FORECAST, COUNTERS, MATERIALS, SELLOUT
from ipp.errors import RejectedRowsError
from ipp.formats.intake.import_identity import identify_import
from ipp.formats.intake.table_import import ImportReport
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Bring = Callable[..., ImportReport]
Found = Callable[[], DeltaLakehouse]

TODAY = dt.date(2024, 6, 30)
HEADING = "mostrador,material,fecha,piezas\n"
JANUARY = HEADING + "1,11,2024-01-01,2\n2,12,2024-01-02,3\n"
FEBRUARY = HEADING + "1,11,2024-02-01,4\n"

days = st.sampled_from([dt.date(2024, 1, 1), dt.date(2024, 1, 2)])
files = st.lists(
    st.lists(
        st.tuples(st.integers(1, 3), st.just(11), days, st.integers(0, 3)),
        min_size=1, max_size=4, unique_by=lambda sale: sale[:3],
    ),
    min_size=2, max_size=3,
)  # fmt: skip


def stored(lakehouse: DeltaLakehouse, table: Table = SELLOUT) -> pl.DataFrame:
    return lakehouse.scan_table(table).collect().sort(table.key)


def known(
    lakehouse: DeltaLakehouse, file: Path, table: Table = SELLOUT, today: dt.date = TODAY
) -> bool:
    """Whether an import of ``file`` would be recognised as the last change of the table."""
    return identify_import(table, file, lakehouse, today).find_outcome(table, lakehouse) is not None


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=files, order=st.lists(st.integers(0, 2), min_size=3, max_size=8))
def test_each_import_is_applied_whatever_was_imported_before(
    bring: Bring,
    found: Found,
    contents: list[list[tuple[int, int, dt.date, int]]],
    order: list[int],
) -> None:
    house = found()
    expected: dict[tuple[int, int, dt.date], int] = {}
    for position in order:
        rows = contents[position % len(contents)]
        before = dict(expected)
        expected |= {row[:3]: row[3] for row in rows}
        text = HEADING + "".join(f"{','.join(map(str, row))}\n" for row in rows)
        report = bring(SELLOUT, text, into=house)
        assert (report.rows_read, report.rows_accepted) == (len(rows), len(rows))
        assert report.rows_added == len(expected.keys() - before.keys())
        assert report.rows_changed == sum(before[key] != expected[key] for key in before)
        assert report.changed == (expected != before)
        assert stored(house).rows() == sorted(
            ((*key, float(units)) for key, units in expected.items())
        )


def test_a_file_is_known_until_something_else_changes_its_table(
    bring: Bring, lakehouse: DeltaLakehouse, tmp_path: Path
) -> None:
    january, february = tmp_path / "enero.csv", tmp_path / "febrero.csv"
    assert bring(SELLOUT, JANUARY, name="enero.csv").changed
    assert known(lakehouse, january)
    assert bring(SELLOUT, FEBRUARY, name="febrero.csv").changed
    assert (known(lakehouse, january), known(lakehouse, february)) == (False, True)
    lakehouse.compact_table(SELLOUT)
    lakehouse.vacuum_table(SELLOUT, dt.timedelta(0))
    assert known(lakehouse, february)
    lakehouse.replace_partitions(
        SELLOUT, pl.LazyFrame(schema=SELLOUT.schema), [dt.date(2024, 2, 1)]
    )
    assert not known(lakehouse, february)
    assert bring(SELLOUT, FEBRUARY, name="febrero.csv").rows_added == 1


@pytest.mark.parametrize("table", [COUNTERS, MATERIALS], ids=lambda table: table.title)
def test_a_file_is_checked_again_when_what_it_refers_to_has_changed(
    bring: Bring, lakehouse: DeltaLakehouse, tmp_path: Path, table: Table
) -> None:
    bring(SELLOUT, JANUARY)
    rows = stored(lakehouse, table).filter(pl.col(table.key[0]).is_in([2, 12]).not_())
    lakehouse.replace_table(table, rows.lazy())
    assert not known(lakehouse, tmp_path / "datos.csv")
    with pytest.raises(RejectedRowsError):
        bring(SELLOUT, JANUARY)


def test_a_notice_is_repeated_and_is_looked_for_again_when_the_counters_change(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    lines = "cp,material,pronostico,color\n6001,11,1,rojo\n"
    first, again = bring(AREA_FORECAST, lines), bring(AREA_FORECAST, lines)
    assert len(first.warnings) == 1
    assert (again.warnings, again.ignored_columns) == (first.warnings, ("color",))
    counters = pl.LazyFrame({"mostrador": [1], "postal_code": [6001]})
    lakehouse.replace_table(COUNTERS, counters)
    assert bring(AREA_FORECAST, lines).warnings == ()


def test_a_file_with_other_bytes_another_suffix_or_an_earlier_day_is_not_known(
    bring: Bring, lakehouse: DeltaLakehouse, tmp_path: Path
) -> None:
    file = tmp_path / "datos.csv"
    bring(SELLOUT, JANUARY)
    assert known(lakehouse, file, today=TODAY + dt.timedelta(days=1))
    assert not known(lakehouse, file, today=TODAY - dt.timedelta(days=1))
    assert not known(lakehouse, tmp_path / "ninguno.csv")
    assert known(lakehouse, file.rename(tmp_path / "otro nombre.csv"))
    assert not known(lakehouse, (tmp_path / "otro nombre.csv").rename(tmp_path / "datos.xlsx"))
    file.write_text(JANUARY.replace(",3\n", ",4\n"))
    assert not known(lakehouse, file)


def test_a_file_with_rejected_rows_is_not_known(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    bad = JANUARY + "99,11,2024-01-01,1\n"
    for _ in range(2):
        report = bring(SELLOUT, bad, allow=True)
        assert report.rows_rejected == 1
        assert report.rejections is not None
        assert report.rejections.exists()


def test_a_file_that_changes_while_it_is_imported_is_not_known(
    bring: Bring, lakehouse: DeltaLakehouse, tmp_path: Path
) -> None:
    file = tmp_path / "datos.csv"

    def change(_changes: object) -> bool:
        file.write_text(FEBRUARY)
        return True

    bring(SELLOUT, JANUARY, agree=change)
    file.write_text(JANUARY)
    assert not known(lakehouse, file)


def test_an_old_list_of_rejections_goes_when_the_file_is_given_again(
    bring: Bring, tmp_path: Path
) -> None:
    bring(SELLOUT, JANUARY)
    listing = tmp_path / "rechazos" / "rechazos-sellout-datos.csv"
    listing.parent.mkdir(exist_ok=True)
    listing.write_text("de otra vez")
    assert not bring(SELLOUT, JANUARY).changed
    assert not listing.exists()


def test_an_import_that_is_interrupted_changes_nothing(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    bring(SELLOUT, JANUARY)
    before, version = stored(lakehouse), lakehouse.version_id(SELLOUT)
    files = set(Path(lakehouse.address(SELLOUT)).rglob("*.parquet"))

    def interrupt(_changes: object) -> bool:
        assert set(Path(lakehouse.address(SELLOUT)).rglob("*.parquet")) > files
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(SELLOUT, FEBRUARY, agree=interrupt)
    assert_frame_equal(stored(lakehouse), before)
    assert lakehouse.version_id(SELLOUT) == version
    assert set(Path(lakehouse.address(SELLOUT)).rglob("*.parquet")) == files
