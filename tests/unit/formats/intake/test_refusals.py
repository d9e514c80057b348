"""Every reason to refuse a row: where it says to look, what it shows and what it says to do."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ipp.core.contract import Table
from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.errors import InvalidInputError, RejectedRowsError
from ipp.formats.intake.table_import import ImportReport
from ipp.formats.written_number import NOT_NUMBER_REASON
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Bring = Callable[..., ImportReport]

Record = tuple[int, str, str, str]


def records(listing: Path | None) -> list[Record]:
    assert listing is not None
    assert listing.read_bytes().startswith("\ufefffila,columna,valor,motivo".encode())
    with listing.open(encoding="utf-8-sig", newline="") as stream:
        next(read := csv.reader(stream))
        return [(int(line), column, value, reason) for line, column, value, reason in read]


ID = "no es un identificador: escriba sólo cifras, como 7051602 (18 a lo más)"
DATE = "no es una fecha: escriba año-mes-día, como 2024-01-31, o día/mes/año, como 31/01/2024"
EMPTY = "la celda está vacía: escriba un valor"
AMBIGUOUS = (
    "puede leerse como 1234 o como 1.234: escriba 1234 si son millares, 1,2340 si son decimales"
)
AMBIGUOUS_POINT = AMBIGUOUS.replace("1,2340", "1.2340")
SERIAL = DATE.replace("no es una fecha", "parece el número con que Excel guarda una fecha")
TOO_WIDE = "hay más celdas que encabezados (¿coma decimal sin comillas?)"
KEY = "mostrador, material, fecha"
ONE = "deje una sola de las dos"
ADD = ", o importe con --sumar si son ventas distintas"
SALES = "mostrador,material,fecha,piezas\n1,11,2024-01-31,2\n"

CASES: list[tuple[Table, str, Record]] = [
    (SELLOUT, SALES + "abc,11,2024-01-30,2\n", (3, "mostrador", "abc", ID)),
    (SELLOUT, SALES + "1,1e9,2024-01-30,2\n", (3, "material", "1e9", ID)),
    (SELLOUT, SALES + "1,,2024-01-30,2\n", (3, "material", "", EMPTY)),
    (SELLOUT, SALES + "0,11,2024-01-30,2\n",
     (3, "mostrador", "0", "es menor que el mínimo, 1: corríjalo")),
    (
        SELLOUT, SALES + "11111111111,11,2024-01-30,2\n",
        (3, "mostrador", "11111111111", "es mayor que el máximo, 9999999999: corríjalo"),
    ),
    (
        SELLOUT, SALES + "77,11,2024-01-30,2\n",
        (3, "mostrador", "77",
         "no está en la tabla mostradores: corríjalo o importe antes mostradores"),
    ),
    (
        SELLOUT, SALES + "1,77,2024-01-30,2\n",
        (3, "material", "77",
         "no está en la tabla materiales: corríjalo o importe antes materiales"),
    ),
    (SELLOUT, SALES + "1,11,2024-02-30,2\n", (3, "fecha", "2024-02-30", DATE)),
    (
        SELLOUT, SALES + "1,11,2024-07-01,2\n",
        (3, "fecha", "2024-07-01", "es una fecha en el futuro, hoy es 2024-06-30: corríjala"),
    ),
    (SELLOUT, SALES + "1,11,2024-01-30,dos\n",
     (3, "piezas", "dos", NOT_NUMBER_REASON)),
    (SELLOUT, SALES + "1,11,2024-01-30,-1\n",
     (3, "piezas", "-1", "es menor que el mínimo, 0 piezas: corríjalo, "
      "o si es una devolución importe con --sumar")),
    (SELLOUT, SALES + "1,11,2024-01-30,10000001\n",
     (3, "piezas", "10000001", "es mayor que el máximo, 10000000 piezas: corríjalo")),
    (SELLOUT, SALES + "1,11,2024-01-30,1.234\n", (3, "piezas", "1.234", AMBIGUOUS_POINT)),
    (SELLOUT, SALES + '1,11,2024-01-30,"1,234"\n', (3, "piezas", "1,234", AMBIGUOUS)),
    (SELLOUT, SALES + "1,11,45322,2\n", (3, "fecha", "45322", SERIAL)),
    (SELLOUT, SALES + "1,11,1999-12-31,2\n",
     (3, "fecha", "1999-12-31", "es anterior a 2000-01-01: corríjala")),
    (
        SELLOUT, SALES + "1,11,31/01/2024,3\n",
        (3, KEY, "1, 11, 2024-01-31", f"repite la clave de la fila 2: {ONE}{ADD}"),
    ),
    (
        SELLOUT, SALES + "1,11,2024-01-30,1,5\n",
        (3, "", "5", TOO_WIDE),
    ),
    (STOCK, 'mostrador,material,existencia\n1,11,1\n1,12,"=1+1"\n',
     (3, "existencia", "'=1+1", NOT_NUMBER_REASON)),
    (STOCK, "mostrador,material,existencia\n1,11,1\n1,12,@x\n",
     (3, "existencia", "'@x", NOT_NUMBER_REASON)),
    (MATERIALS, "material,sub_empaque\n11,1\n12,2.5\n",
     (3, "sub_empaque", "2.5", "no es un número entero: escriba por ejemplo 12")),
    (CONFIGURATIONS, "mostrador,tipo de invenadro\n1,spp\n2,XPP\n",
     (3, "tipo_inventario", "XPP", "no es una de las opciones: escriba SPP o IPP")),
    (CONFIGURATIONS, "mostrador,incluye_otc\n1,sí\n2,quizá\n",
     (3, "incluye_otc", "quizá", "no es sí ni no: escriba sí o no")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "content", "record"), CASES, ids=lambda case: getattr(case, "title", None)
)
def test_a_refused_row_says_where_what_and_why(
    bring: Bring, lakehouse: DeltaLakehouse, table: Table, content: str, record: Record
) -> None:
    report = bring(table, content, allow=True)
    assert records(report.rejections) == [record]
    assert (report.rows_read, report.rows_accepted, report.rows_rejected) == (2, 1, 1)


def test_the_bounds_themselves_are_taken(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    days = ["2000-01-01", "2024-06-30"]
    lines = "".join(f"1,11,{day},{units}\n" for day, units in zip(days, (0, 10**7), strict=True))
    report = bring(SELLOUT, f"mostrador,material,fecha,piezas\n{lines}")
    assert (report.rows_accepted, report.rows_rejected) == (2, 0)
    stored = lakehouse.scan_table(SELLOUT).sort("date").collect()
    assert stored["date"].cast(str).to_list() == days
    assert stored["units"].to_list() == [0.0, 1e7]


def test_a_row_with_several_bad_cells_gives_a_record_for_each(bring: Bring) -> None:
    report = bring(SELLOUT, SALES + "x,y,z,w\n1,11,2024-01-31,5\n1,,2024-01-29,3\n", allow=True)
    assert [(line, column) for line, column, _, _ in records(report.rejections)] == [
        (3, "mostrador"), (3, "material"), (3, "fecha"), (3, "piezas"),
        (4, "mostrador, material, fecha"), (5, "material"),
    ]  # fmt: skip
    assert report.rows_rejected == 3


def test_a_bad_row_does_not_count_as_the_first_of_its_key(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    lines = (
        "mostrador,material,fecha,piezas\n1,11,2024-01-31,x\n1,11,2024-01-31,5\n1,11,2024-01-31,6\n"
    )
    report = bring(SELLOUT, lines, allow=True)
    assert [(line, reason) for line, _, _, reason in records(report.rejections)] == [
        (2, NOT_NUMBER_REASON),
        (4, "repite la clave de la fila 3: deje una sola de las dos" + ADD),
    ]
    assert lakehouse.scan_table(SELLOUT).collect()["units"].to_list() == [5.0]


def test_a_repeated_key_is_found_in_a_table_without_partitions(bring: Bring) -> None:
    report = bring(COUNTERS, "mostrador,cp\n5,6000\n4,6000\n05,6001\n5.0,6002\n", allow=True)
    assert records(report.rejections) == [
        (line, "mostrador", "5", "repite la clave de la fila 2: deje una sola de las dos")
        for line in (4, 5)
    ]


def test_repeated_keys_of_several_days_are_listed_by_row(bring: Bring) -> None:
    days = ["03", "02", "01"]
    lines = "".join(f"1,11,2024-01-{day},2\n" for day in days * 2)
    report = bring(SELLOUT, SALES + lines, allow=True)
    assert [line for line, *_ in records(report.rejections)] == [6, 7, 8]


def test_refused_rows_stop_the_import(
    bring: Bring, lakehouse: DeltaLakehouse, tmp_path: Path
) -> None:
    with pytest.raises(RejectedRowsError) as caught:
        bring(
            SELLOUT,
            SALES + "77,11,2024-01-30,2\n1,11,2024-01-31,2\nx,y,2024-01-29,2\n",
            name="abril.csv",
        )
    error, listing = caught.value, tmp_path / "rechazos" / "rechazos-sellout-abril.csv"
    assert error.message == (
        "Se rechazaron 3 de 4 renglones de abril.csv y no se importó ninguno: fila 3, mostrador "
        "«77» no está en la tabla mostradores: corríjalo o importe antes mostradores; fila 4, "
        "mostrador, material, fecha «1, 11, 2024-01-31» repite la clave de la fila 2: deje una "
        f"sola de las dos{ADD}; fila 5, mostrador «x» {ID}; … y 1 más."
    )
    assert str(listing) in error.hint
    assert "--permitir-rechazos" in error.hint
    assert error.report is not None
    assert replace(error.report, warnings=()) == ImportReport(
        "sellout", 4, 1, 3, 0, 0, changed=False, rejections=listing
    )
    assert len(records(listing)) == 4
    assert not lakehouse.table_exists(SELLOUT)


def test_a_file_that_is_put_right_leaves_no_list(bring: Bring) -> None:
    listing = bring(SELLOUT, SALES + "77,11,2024-01-30,2\n", allow=True).rejections
    assert listing is not None
    assert bring(SELLOUT, SALES).rejections is None
    assert not listing.exists()


def test_a_file_of_nothing_but_bad_rows_writes_nothing(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    report = bring(SELLOUT, "mostrador,material,fecha,piezas\nx,11,2024-01-31,2\n", allow=True)
    assert (report.rows_accepted, report.rows_rejected, report.changed) == (0, 1, False)
    assert not lakehouse.table_exists(SELLOUT)


@pytest.mark.parametrize(
    "table", [SELLOUT, STOCK, AREA_FORECAST, CONFIGURATIONS], ids=lambda table: table.title
)
def test_a_table_waits_for_those_it_refers_to(bring: Bring, table: Table, tmp_path: Path) -> None:
    first = "materiales" if table is AREA_FORECAST else "mostradores"
    with pytest.raises(InvalidInputError, match=f"Importe primero {first}"):
        bring(table, SALES, into=DeltaLakehouse(tmp_path / "empty"))


def test_what_people_read_is_not_what_the_list_must_guard_against(bring: Bring) -> None:
    with pytest.raises(RejectedRowsError) as caught:
        bring(SELLOUT, SALES + "1,11,2024-01-30,=1+1\n,11,2024-01-29,1\n1,11,2024-01-28,1,5\n")
    for said in ("fila 3, piezas «=1+1» no es", "fila 4, mostrador: la celda", "fila 5: sobra «5»"):
        assert said in caught.value.message
