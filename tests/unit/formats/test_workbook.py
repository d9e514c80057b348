"""``ipp factor`` on workbooks: what it reads, what it gives back, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from ipp.cli import run_cli
from ipp.core.parameters import Parameters
from ipp.errors import InvalidInputError, MissingColumnError
from ipp.formats.spreadsheet import write_workbook
from ipp.formats.workbook import Workbook, apply_factor, read_workbook
from ipp.storage.files.scratch import Scratch
from tests.books import write_book

Write = Callable[[pl.DataFrame, Path], None]


def workbook(**changes: object) -> pl.DataFrame:
    """Three products of one counter: 2.5, 0.4 and 12.3 units expected."""
    columns: dict[str, object] = {
        "Cliente": [7_051_602] * 3,
        "Monto Venta Mostrador": [3_000.0] * 3,
        "Material": [11, 12, 13],
        "Descripción": ["=1+1", "Ácido fólico", "Jeringa"],
        "EAN/UPC": [7_501, 7_502, 7_503],
        "Categoría de Material": ["EPEP", "OO", "DMDM"],
        "Precio Farmacia": [100.0, 40.5, 3.25],
        "Ctd.UMB": [5.0, 1.0, 30.0],
        "Factor 9": [3.0, 0.5, 14.0],
        "Factor D": [2.0, 0.3, 10.6],
        "Factor F": [1.0, 0.15, 5.3],
        "Ponderación Tradicional": [1.5, 0.25, 7.0],
        "Venta Neta Trim": [9.0, 1.0, 40.0],
        "Venta Neta Anual": [30.0, 6.0, 180.0],
        "Notas": ["a", None, "c"],
    }
    return pl.DataFrame(
        {name: value for name, value in (columns | changes).items() if value is not ...}
    )


def xlsx(frame: pl.DataFrame, path: Path) -> None:
    write_workbook(path, [frame], {name: name for name in frame.columns}, path.parent)


def csv(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path)


def spanish_csv(frame: pl.DataFrame, path: Path) -> None:
    text = frame.with_columns(
        pl.col(pl.Float64).cast(pl.String).str.replace(".", ",", literal=True)
    )
    path.write_bytes(text.write_csv(separator=";").encode("cp1252"))


def parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path)


def read_back(frame: pl.DataFrame, folder: Path, *, with_sales_value: bool = True) -> Workbook:
    """Write products to a file and read it."""
    parquet(frame, folder / "libro.parquet")
    return read_workbook(
        folder / "libro.parquet", Scratch(folder), with_sales_value=with_sales_value
    )


KINDS = {"libro.xlsx": xlsx, "libro.csv": csv, "español.csv": spanish_csv, "libro.parquet": parquet}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same(name: str, tmp_path: Path) -> None:
    KINDS[name](workbook(), tmp_path / name)
    read = read_workbook(tmp_path / name, Scratch(tmp_path), with_sales_value=True)
    (step,) = apply_factor(read, Parameters(forced_factor=0.4)).values()
    assert step.frame["bumped"].to_list() == [3, 1, 12]
    assert step.investment == 3 * 100 + 40.5 + 12 * 3.25
    assert step.target == 3_000 / 30 * 27.25


@pytest.mark.parametrize(
    "column", ["Cliente", "Material", "Precio Farmacia", "Factor 9", "Factor D", "Ctd.UMB"]
)
def test_a_missing_column_is_named_with_what_was_found(column: str, tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError) as caught:
        read_back(workbook(**{column: ...}), tmp_path)
    assert f"le falta «{column}»" in caught.value.message
    assert "«Notas»" in caught.value.message


def test_the_sales_value_is_needed_only_where_a_target_comes_from_it(tmp_path: Path) -> None:
    frame = workbook(**{"Monto Venta Mostrador": ...})
    with pytest.raises(MissingColumnError, match="Monto Venta Mostrador"):
        read_back(frame, tmp_path)
    read = read_back(frame, tmp_path, with_sales_value=False)
    (step,) = apply_factor(read, Parameters(target_investment=200.0)).values()
    assert step.target == 200.0


def test_rules_p_and_q_prefer_the_databrick_columns(tmp_path: Path) -> None:
    idle = {
        name: [0.0] * 3
        for name in ("Factor 9", "Factor D", "Factor F", "Ponderación Tradicional", "Ctd.UMB")
    }
    frame = workbook(
        **idle, VtasTrimDataBrick=[0.0, None, 0.0], VtasAnualDataBrick=[0.0, None, 0.0]
    )
    (step,) = apply_factor(read_back(frame, tmp_path), Parameters(forced_factor=0.2)).values()
    # Only the second falls back to Venta Neta: 0.245.
    assert step.frame["rule_p"].to_list() == [0, 1, 0]


def test_inner_packs_come_from_sub_empaque(tmp_path: Path) -> None:
    read = read_back(workbook(**{"Sub Empaque": [None, 10, None]}), tmp_path)
    (step,) = apply_factor(read, Parameters(forced_factor=0.4)).values()
    assert step.frame["bumped"].to_list() == [3, 10, 12]


def test_our_own_answer_can_be_given_back_and_means_the_same(tmp_path: Path) -> None:
    """Its column «sub empaque» is the rule's outcome, not a pack."""
    book, one, two = (tmp_path / f"{name}.parquet" for name in ("libro", "uno", "dos"))
    parquet(workbook(), book)
    for read, written in ((book, one), (one, two)):
        assert run_cli(["factor", str(read), "--salida", str(written)]) == 0
    assert pl.read_parquet(one).equals(pl.read_parquet(two))


def test_several_counters_are_done_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.concat(
        [workbook(), workbook(Cliente=[9] * 3, **{"Monto Venta Mostrador": [900.0] * 3})]
    )
    parquet(frame[[0, 3, 1, 4, 2, 5]], tmp_path / "libro.parquet")
    out = tmp_path / "salida.parquet"
    assert run_cli(["factor", str(tmp_path / "libro.parquet"), "--json", "--salida", str(out)]) == 0
    documents = json.loads(capsys.readouterr().out)
    assert [d["mostrador"] for d in documents] == [7_051_602, 9]
    assert [d["target_investment"] for d in documents] == [2_725.0, 817.5]
    assert all(len(d["curve"]) == 99 and d["products"] == 3 for d in documents)
    written = pl.read_parquet(out)
    assert written["Cliente"].to_list() == [7_051_602, 9] * 3
    for document in documents:
        mine = written.filter(pl.col("Cliente") == document["mostrador"])
        assert mine["Optimo a Surtir"].sum() == document["units"]
        assert mine["optimo venta"].sum() == pytest.approx(document["investment"])


def test_the_answer_keeps_every_column_and_runs_no_formula(tmp_path: Path) -> None:
    xlsx(workbook(), path := tmp_path / "libro.xlsx")
    before = path.read_bytes()
    assert run_cli(["factor", str(path), "--salida", str(tmp_path / "salida.xlsx")]) == 0
    assert path.read_bytes() == before
    sheet = openpyxl.load_workbook(tmp_path / "salida.xlsx").active
    heading = [cell.value for cell in sheet[1]]
    assert heading[: len(workbook().columns)] == workbook().columns
    first = dict(zip(heading, sheet[2], strict=True))
    assert (first["Descripción"].value, first["Descripción"].data_type) == ("=1+1", "s")
    assert (first["Precio Farmacia"].value, first["Material"].value) == (100, 11)
    assert first["joroba"].value >= 2


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"Precio Farmacia": ["100", "caro", "3.25"]}, "fila 3, Precio Farmacia «caro»"),
        ({"Cliente": [7, 7, None]}, "fila 4, Cliente"),
        ({"Factor 9": [3.0, -1.0, 1.0]}, "fila 3, Factor 9 «-1»"),
        ({"Material": [11, 12, 11]}, "el producto 11 del mostrador 7051602 más de una vez"),
    ],
)
def test_a_cell_that_cannot_be_is_named(
    changes: dict[str, object], part: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_back(workbook(**changes), tmp_path)
    assert part in caught.value.message


def test_two_sales_values_of_one_counter_are_refused(tmp_path: Path) -> None:
    read = read_back(workbook(**{"Monto Venta Mostrador": [1.0, 2.0, 1.0]}), tmp_path)
    with pytest.raises(InvalidInputError, match="2 valores de Monto Venta Mostrador"):
        apply_factor(read, Parameters())


def test_a_factor_that_is_given_needs_no_sales_value(tmp_path: Path) -> None:
    read = read_back(workbook(**{"Monto Venta Mostrador": [1.0, 2.0, None]}), tmp_path)
    (step,) = apply_factor(read, Parameters(forced_factor=0.4)).values()
    assert (step.factor, step.target) == (0.4, None)


def test_what_no_rule_needs_may_be_missing(tmp_path: Path) -> None:
    """Descriptions and bar codes are for people."""
    frames = [workbook(), workbook(**{"Descripción": ..., "EAN/UPC": ...})]
    with_names, without = (
        apply_factor(read_back(frame, tmp_path), Parameters())[7_051_602] for frame in frames
    )
    assert without.investment == with_names.investment
    assert without.frame["bumped"].equals(with_names.frame["bumped"])


def test_hidden_rows_of_a_workbook_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = workbook(**{"Descripción": ["a", "b", "c"]})

    def hide(sheet: Worksheet) -> None:
        sheet.row_dimensions[3].hidden = True

    (tmp_path / "libro.xlsx").write_bytes(write_book(frame.columns, *frame.rows(), also=hide))
    assert run_cli(["factor", str(tmp_path / "libro.xlsx")]) == 0
    assert "Aviso: 1 fila oculta en la hoja se leyó como las demás: 3." in capsys.readouterr().out


def test_the_real_workbook_as_it_is(real_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own column «sub empaque» is an outcome: without packs these are the sums by factor."""
    assert run_cli(["factor", str(real_file), "--factor", "0.11", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["investment"] == 4_092_425.05
    assert document["products"] == 4_206
    assert document["products_with_stock"] == 3_810
    assert run_cli(["factor", str(real_file), "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    curve = {round(f, 2): money for f, money in document["curve"]}
    assert (curve[0.10], curve[0.40], curve[0.59]) == (4_110_476.17, 3_758_855.23, 3_358_635.02)
    assert document["target_investment"] == 4_344_640.99


@pytest.mark.parametrize(
    ("heading", "value", "bound"),
    [
        ("Sub Empaque", 7_501_234_567_890, "100000 piezas"),
        ("Precio Farmacia", 1e15, "10000000 MXN/pieza"),
        ("Monto Venta Mostrador", 1e13, "1000000000000 MXN/mes"),
        ("Factor 9", 7_501_234_567_890, "10000000 piezas"),
        ("VtasAnualDataBrick", 7_501_234_567_890, "1000000000 piezas"),
    ],
)
def test_a_bar_code_in_the_next_column_is_refused(
    tmp_path: Path, heading: str, value: float, bound: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet(workbook(**{heading: [1.0, value, 2.0]}), tmp_path / "libro.parquet")
    status = run_cli(
        ["factor", str(tmp_path / "libro.parquet"), "--salida", str(tmp_path / "resultado.xlsx")]
    )
    said = " ".join(capsys.readouterr().err.split())
    assert status == 2
    assert f"fila 3, {heading} «{value:.0f}» es mayor que el máximo, {bound}: corríjalo" in said
    assert not (tmp_path / "resultado.xlsx").exists()
