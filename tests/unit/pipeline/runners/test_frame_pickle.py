"""What passes between processes by file: it arrives equal, and no file is left."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ipp.pipeline.runners import frame_pickle

FRAME = pl.DataFrame(
    {
        "text": ["ñandú", None, ""],
        "units": [1.5, None, -0.0],
        "day": [dt.date(2026, 1, 2), None, None],
        "flag": [True, False, None],
    }
)


@pytest.mark.parametrize("rows", [0, 3])
def test_a_frame_arrives_equal_and_leaves_no_file(tmp_path: Path, rows: int) -> None:
    content = frame_pickle.dump({7: FRAME.head(rows), 9: None, "path": tmp_path}, tmp_path)
    assert len([*tmp_path.iterdir()]) == 1
    loaded = frame_pickle.load(content)
    assert_frame_equal(loaded[7], FRAME.head(rows))
    assert (loaded[9], loaded["path"]) == (None, tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("size", [0, 10, 1 << 20, 3 << 20])
def test_bytes_arrive_equal_and_only_long_ones_by_file(tmp_path: Path, size: int) -> None:
    content = frame_pickle.dump([bytes(size), "corto"], tmp_path)
    assert len(content) < (1 << 20) + 100
    assert len([*tmp_path.iterdir()]) == (size >= 1 << 20)
    assert frame_pickle.load(content) == [bytes(size), "corto"]
    assert not [*tmp_path.iterdir()]
