"""What a page finds of the stages' files: one a mostrador, or parts with many of them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ipp.core.workbook_columns import PROCESSED_TABLE
from ipp.jobs.stage_files import MAX_PARTS, read_processed_rows
from ipp.storage.files.local_files import LocalFiles


def put(files: LocalFiles, name: str, rows: dict[str, list[int]]) -> None:
    with files.write_object(f"ipp-processed/ipp-1/{name}") as path:
        pl.DataFrame(rows).write_parquet(path)


def found(files: LocalFiles, mostrador: int) -> list[int] | None:
    rows = read_processed_rows(files, "ipp-1", mostrador)
    return None if rows is None else rows.collect()["material"].to_list()


def test_without_files_there_are_no_rows(tmp_path: Path) -> None:
    assert found(LocalFiles(tmp_path), 7) is None


def test_the_file_of_a_mostrador_has_its_rows(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    put(files, "7.parquet", {"mostrador": [7, 7], "material": [1, 2]})
    assert found(files, 7) == [1, 2]
    rows = read_processed_rows(files, "ipp-1", 7)
    assert rows is not None
    assert rows.collect_schema() == PROCESSED_TABLE.schema


@pytest.mark.parametrize("parts", [1, 2, MAX_PARTS])
def test_a_mostrador_is_found_among_the_parts_that_spark_left(tmp_path: Path, parts: int) -> None:
    files = LocalFiles(tmp_path)
    for part in range(parts):
        rows = {"mostrador": [part, part, 100 + part], "material": [1, 2, part]}
        put(files, f"partes/part-{part:05}-abc.snappy.parquet", rows)
    put(files, "partes/_SUCCESS", {})
    assert [found(files, part) for part in range(parts)] == [[1, 2]] * parts
    assert found(files, 100 + parts - 1) == [parts - 1]


def test_a_job_of_too_many_parts_is_not_fetched_as_a_whole(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    for part in range(MAX_PARTS + 1):
        put(files, f"partes/part-{part:05}.parquet", {"mostrador": [part], "material": [1]})
    assert found(files, 0) is None
