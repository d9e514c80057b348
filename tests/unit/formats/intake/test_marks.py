"""A column of numbers that people wrote is read in one way, whatever kind of file it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.core.contract import Column, Kind, Table
from ipp.errors import InvalidInputError
from ipp.formats.intake.file_reader import read_cells
from ipp.formats.intake.row_check import check_rows, match_headings, reason_column
from ipp.pipeline.backtest import PeriodLength, read_demand_history
from ipp.storage.files.scratch import Scratch
from tests.books import build_ods, build_xls, ods_row

AMOUNTS = Table(
    name="amounts",
    title="importes",
    columns=(
        Column("line", "renglon", Kind.COUNT, ""),
        Column("amount", "importe", Kind.NUMBER, ""),
    ),
    key=("line",),
)
HEAD = ("renglon", "importe")

Rows = Sequence[tuple[str, str | float]]
Write = Callable[[Path, Rows], Path]


def separated(separator: str, encoding: str = "utf-8") -> Write:
    def write(folder: Path, rows: Rows) -> Path:
        lines = [f'"{line}"{separator}"{amount}"' for line, amount in [HEAD, *rows]]
        (folder / "datos.csv").write_text("\n".join(lines), encoding=encoding)
        return folder / "datos.csv"

    return write


def write_workbook(folder: Path, rows: Rows) -> Path:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in [HEAD, *rows]:
        sheet.append(row)
    book.save(folder / "datos.xlsx")
    return folder / "datos.xlsx"


def write_parquet(folder: Path, rows: Rows) -> Path:
    pl.DataFrame(
        [(line, str(amount)) for line, amount in rows], schema=list(HEAD), orient="row"
    ).write_parquet(folder / "datos.parquet")
    return folder / "datos.parquet"


def write_ods(folder: Path, rows: Rows) -> Path:
    (folder / "datos.ods").write_bytes(
        build_ods("".join(ods_row(line, str(amount)) for line, amount in [HEAD, *rows]))
    )
    return folder / "datos.ods"


def write_xls(folder: Path, rows: Rows) -> Path:
    cells = {(n, m): str(text) for n, row in enumerate([HEAD, *rows]) for m, text in enumerate(row)}
    (folder / "datos.xls").write_bytes(build_xls(cells))
    return folder / "datos.xls"


SOURCES: dict[str, Write] = {
    "comma": separated(","),
    "semicolon": separated(";"),
    "tab": separated("\t"),
    "unicode text": separated("\t", "utf-16"),
    "workbook": write_workbook,
    "parquet": write_parquet,
    "ods": write_ods,
    "xls": write_xls,
}


def read(file: Path, folder: Path) -> list[float] | None:
    """The amounts of a file, or None where any is refused."""
    cells = read_cells(file, folder, AMOUNTS.columns)
    positions = match_headings(AMOUNTS, file, cells.headings)
    rows = check_rows(AMOUNTS, cells, positions).collect()
    if rows[reason_column(AMOUNTS.by_name["amount"])].null_count() < rows.height:
        return None
    return rows["amount"].to_list()


numbers = st.builds(
    lambda units, places: Decimal(units).scaleb(-places),
    st.integers(-(10**7), 10**9),
    st.integers(0, 4),
)
written = st.tuples(numbers, st.booleans(), st.sampled_from(["{}", "${}", "{} MXN"]))


def spell(number: Decimal, decimal: str, *, grouped: bool) -> str:
    text = f"{number:{',' if grouped else ''}f}"
    return text if decimal == "." else text.translate(str.maketrans(",.", ".,"))


def is_clear(text: str) -> bool:
    """Whether a number is not three digits after one mark and up to three before it."""
    whole, *rest = text.lstrip("-").replace(",", ".").split(".")
    return len(rest) != 1 or len(rest[0]) != 3 or len(whole) > 3 or whole.startswith("0")


@settings(max_examples=200)
@given(
    st.lists(written, min_size=1, max_size=6),
    st.sampled_from(".,"),
    st.sampled_from(sorted(SOURCES)),
)
def test_a_number_comes_back_or_its_column_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    column: list[tuple[Decimal, bool, str]],
    decimal: str,
    source: str,
) -> None:
    folder = tmp_path_factory.mktemp("marks")
    texts = [spell(number, decimal, grouped=grouped) for number, grouped, _ in column]
    cells = [form.format(text) for text, (_, _, form) in zip(texts, column, strict=True)]
    found = read(SOURCES[source](folder, [(str(n), cell) for n, cell in enumerate(cells)]), folder)
    proven = any(is_clear(text) and not text.lstrip("-").isdecimal() for text in texts)
    if found is None:
        assert not all(is_clear(text) for text in texts)
        # Where there is no XML, 12.5 may be a number that the sheet stores, and proves nothing.
        assert not proven or source in {"ods", "xls"}
    else:
        assert found == [float(number) for number, _, _ in column]
        assert proven or all(is_clear(text) for text in texts)


@settings(max_examples=40)
@given(
    st.lists(numbers, min_size=1, max_size=4),
    st.lists(written, min_size=1, max_size=4),
    st.sampled_from(".,"),
)
def test_numbers_that_a_workbook_stores_are_themselves_and_prove_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    stored: list[Decimal],
    column: list[tuple[Decimal, bool, str]],
    decimal: str,
) -> None:
    folder = tmp_path_factory.mktemp("marks")
    texts: list[str | float] = [
        spell(number, decimal, grouped=grouped) for number, grouped, _ in column
    ]

    def read_beside(numbers: list[str | float]) -> list[float] | None:
        amounts = [*numbers, *texts]
        return read(
            write_workbook(folder, [(str(n), amount) for n, amount in enumerate(amounts)]), folder
        )

    alone, beside = read_beside([]), read_beside([float(number) for number in stored])
    assert (alone is None) == (beside is None)
    assert beside is None or beside == [float(number) for number in stored] + (alone or [])


@pytest.mark.parametrize("source", ["comma", "tab", "unicode text", "workbook", "parquet"])
@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,234", "12,5", "1.234", "1.234,5"], [1.234, 12.5, 1234, 1234.5]),
        (["1,234", "1,234.50"], [1234, 1234.5]),
        (["1,234", "15"], None),
        (["1.234", "15"], None),
        (["1,234", "12,5", "1,234.5"], None),
        (["12,5", "1,234.5"], [12.5, 1234.5]),
    ],
)
def test_a_column_is_read_in_one_way(
    tmp_path: Path, source: str, cells: list[str], values: list[float] | None
) -> None:
    file = SOURCES[source](tmp_path, [(str(n), cell) for n, cell in enumerate(cells)])
    assert read(file, tmp_path) == values


@pytest.mark.parametrize("source", ["ods", "xls"])
def test_what_may_be_a_stored_number_is_not_read_by_commas(tmp_path: Path, source: str) -> None:
    assert read(SOURCES[source](tmp_path, [("1", "12,5"), ("2", "1,234")]), tmp_path) == [
        12.5,
        1.234,
    ]
    assert read(SOURCES[source](tmp_path, [("1", "12,5"), ("2", "1.234")]), tmp_path) is None
    assert read(SOURCES[source](tmp_path, [("1", "12.5"), ("2", "1,234")]), tmp_path) is None


def test_demand_is_read_in_one_way(tmp_path: Path) -> None:
    file = tmp_path / "demanda.txt"
    lines = ["producto\tfecha\tpiezas", "a\t2026-01-05\t1,001", "a\t2026-01-12\t7,5"]
    file.write_text("\n".join(lines), encoding="utf-16")
    assert (
        read_demand_history(file, Scratch(tmp_path), PeriodLength.SEMANA).panel.units.sum() == 8.501
    )
    file.write_text("\n".join(lines[:2]), encoding="utf-16")
    with pytest.raises(
        InvalidInputError, match="escriba 1001 si son millares, 1,0010 si son decimales"
    ):
        read_demand_history(file, Scratch(tmp_path), PeriodLength.SEMANA)
