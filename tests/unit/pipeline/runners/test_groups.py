"""Groups are computed whole, once and in order, and only as many as should be are in memory."""

from __future__ import annotations

from collections.abc import Collection

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.pipeline.runners.counter_batch import GROUP_BATCH_COUNTERS
from ipp.pipeline.runners.local_runner import LocalRunner
from ipp.pipeline.runners.runner import GroupedRows, LazyRows
from tests.sample_chain import build_runner

SIZES = st.dictionaries(
    st.integers(1, 99_999), st.integers(1, 2 * GROUP_BATCH_COUNTERS), max_size=40
)


def members(rows: pl.DataFrame) -> pl.DataFrame:
    """One row: the least mostrador of a group and how many it has."""
    return rows.select(pl.col("mostrador").min(), pl.len().cast(pl.Int64))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> LocalRunner:
    return build_runner(tmp_path_factory.mktemp("groups"))


@given(SIZES)
def test_every_group_is_computed_once_and_few_are_read_at_a_time(
    workspace: LocalRunner, sizes: dict[int, int]
) -> None:
    read: list[list[int]] = []

    def rows_of(groups: Collection[int]) -> LazyRows:
        read.append(list(groups))
        rows = [(group, 1_000 * group + n) for group in groups for n in range(sizes[group])]
        return nw.from_native(
            pl.LazyFrame(rows, schema=["area", "mostrador"], orient="row").sort(
                "mostrador", descending=True
            )
        )

    lost: list[int] = []
    schema = pl.Schema({"mostrador": pl.Int64(), "len": pl.Int64()})
    groups = GroupedRows("area", sizes, rows_of, counter_bytes=1, prefix="ipp-raw/ipp-1/areas/")
    made = workspace.map_groups(groups, members, schema, lambda group, _: lost.append(group))
    assert made.collect().to_native().rows() == [
        (1_000 * group, sizes[group]) for group in sorted(sizes)
    ]
    assert lost == []
    together = [sum(sizes[group] for group in groups) for groups in read]
    assert all(
        len(groups) == 1 or total <= GROUP_BATCH_COUNTERS
        for groups, total in zip(read, together, strict=True)
    )
    following = [sizes[groups[0]] for groups in read[1:]]
    assert all(
        total + more > GROUP_BATCH_COUNTERS
        for total, more in zip(together, following, strict=False)
    ), "no read is needless"
