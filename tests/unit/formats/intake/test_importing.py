"""What an import leaves in the table."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipp.core.contract import Table
from ipp.core.tables import AREA_FORECAST, CONFIGURATIONS, COUNTERS, MATERIALS, SELLOUT, STOCK
from ipp.formats.intake.table_import import ImportReport
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse

Bring = Callable[..., ImportReport]
Found = Callable[[], DeltaLakehouse]

HEADING = "mostrador,material,fecha,piezas\n"

Sale = tuple[int, int, dt.date, int]
days = st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 4))
sales = st.lists(
    st.tuples(st.integers(1, 9), st.integers(11, 19), days, st.integers(0, 500)),
    min_size=1, max_size=25, unique_by=lambda sale: sale[:3],
)  # fmt: skip
law = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # fmt: skip


def text(rows: list[Sale]) -> str:
    return HEADING + "".join(f"{','.join(str(cell) for cell in row)}\n" for row in rows)


def stored(lakehouse: DeltaLakehouse, table: Table = SELLOUT) -> pl.DataFrame:
    return lakehouse.scan_table(table).collect().sort(table.key)


def version(lakehouse: DeltaLakehouse, table: Table = SELLOUT) -> int:
    return DeltaTable(lakehouse.address(table)).version()


@law
@given(rows=sales)
def test_importing_twice_is_importing_once(bring: Bring, found: Found, rows: list[Sale]) -> None:
    house = found()
    first = bring(SELLOUT, text(rows), into=house)
    before, files = version(house), stored(house)
    again = bring(SELLOUT, text(rows), into=house)
    assert (first.rows_added, first.changed) == (len(rows), True)
    assert again.rows_accepted == len(rows)
    assert again.rows_added == 0
    assert again.rows_changed == 0
    assert again.changed is False
    assert version(house) == before
    assert_frame_equal(stored(house), files)


@law
@given(rows=sales, data=st.data())
def test_the_order_of_the_rows_does_not_matter(
    bring: Bring, found: Found, rows: list[Sale], data: st.DataObject
) -> None:
    one, other = found(), found()
    bring(SELLOUT, text(rows), into=one)
    bring(SELLOUT, text(data.draw(st.permutations(rows))), into=other)
    first, second = (
        each.scan_table(SELLOUT).sort("date", maintain_order=True).collect()
        for each in (one, other)
    )
    assert_frame_equal(first, second)


@law
@given(rows=sales, data=st.data())
def test_bad_rows_left_out_are_as_if_never_there(
    bring: Bring, found: Found, rows: list[Sale], data: st.DataObject
) -> None:
    bad = [
        "x,11,2024-01-01,1",
        "1,99,2024-01-01,1",
        "1,11,2024-13-01,1",
        "1,11,2024-01-01,-3",
        ",,,1",
        "1,2,3,4,5",
    ]
    good = text(rows).splitlines()[1:]
    lines = data.draw(st.permutations([*good, *bad]))
    one, other = found(), found()
    report = bring(SELLOUT, HEADING + "\n".join(lines), into=one, allow=True)
    bring(SELLOUT, text(rows), into=other)
    assert (report.rows_accepted, report.rows_rejected) == (len(rows), len(bad))
    assert_frame_equal(stored(one), stored(other))


@law
@given(before=sales, after=sales)
def test_rows_replace_those_of_their_key_and_no_others(
    bring: Bring, found: Found, before: list[Sale], after: list[Sale]
) -> None:
    house = found()
    bring(SELLOUT, text(before), into=house)
    report = bring(SELLOUT, text(after), into=house)
    old, new = ({row[:3]: row[3] for row in rows} for rows in (before, after))
    merged = [(*key, float(units)) for key, units in {**old, **new}.items()]
    assert_frame_equal(
        stored(house), pl.DataFrame(merged, schema=SELLOUT.schema, orient="row").sort(SELLOUT.key)
    )
    assert report.rows_added == len(new.keys() - old.keys())
    assert report.rows_changed == sum(new[key] != old[key] for key in new.keys() & old.keys())
    assert report.changed == (old | new != old)


def test_only_partitions_that_differ_are_written(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    one, two = dt.date(2024, 1, 1), dt.date(2024, 1, 2)
    bring(SELLOUT, text([(1, 11, one, 1), (1, 11, two, 2)]))
    before = set(DeltaTable(lakehouse.address(SELLOUT)).file_uris())
    bring(SELLOUT, text([(1, 11, one, 1), (1, 12, two, 2)]))
    after = set(DeltaTable(lakehouse.address(SELLOUT)).file_uris())
    assert [Path(file).parent.name for file in before & after] == ["fecha=2024-01-01"]
    assert version(lakehouse) == 1


def test_rows_lie_in_order_within_a_partition(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    day = dt.date(2024, 1, 1)
    bring(SELLOUT, text([(2, 11, day, 1), (1, 12, day, 1), (1, 11, day, 1)]))
    bring(SELLOUT, text([(1, 13, day, 1)]))
    (file,) = DeltaTable(lakehouse.address(SELLOUT)).file_uris()
    rows = pl.read_parquet(file, hive_partitioning=False).select("mostrador", "material").rows()
    assert rows == [(1, 11), (1, 12), (1, 13), (2, 11)]


def test_a_row_that_comes_again_replaces_all_that_the_file_brings(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    bring(COUNTERS, "mostrador,nombre,cp\n1,Centro,6000\n2,Norte,6001\n")
    report = bring(COUNTERS, "mostrador,nombre,cp\n1,,6000\n")
    assert (report.rows_added, report.rows_changed) == (0, 1)
    rows = stored(lakehouse, COUNTERS).head(2).select("mostrador", "counter_name").rows()
    assert rows == [(1, None), (2, "Norte")]


def test_a_column_that_the_file_does_not_bring_stays_as_it_is(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    bring(
        CONFIGURATIONS,
        "mostrador,monto_deseado,incluye_genericos,tipo_inventario\n1,500,no,SPP\n2,,sí,SPP\n",
    )
    before = version(lakehouse, CONFIGURATIONS)
    content = "mostrador,tipo inventario,monto desedo,incluye generico\n1,SPP,9,sí\n2,SPP,,\n"
    report = bring(CONFIGURATIONS, content)
    assert (report.changed, report.ignored_columns) == (False, ("monto desedo", "incluye generico"))
    assert version(lakehouse, CONFIGURATIONS) == before
    report = bring(CONFIGURATIONS, content.replace("1,SPP", "1,IPP") + "3,SPP,,\n")
    assert (report.rows_added, report.rows_changed) == (1, 1)
    columns = ["mostrador", "inventory_model", "target_investment", "include_generic"]
    assert stored(lakehouse, CONFIGURATIONS).select(columns).rows() == [
        (1, "IPP", 500, False), (2, "SPP", None, True), (3, "SPP", None, True)
    ]  # fmt: skip


def test_a_stored_null_of_a_column_left_out_does_not_become_its_default(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    lakehouse.replace_table(
        STOCK, pl.LazyFrame({"mostrador": [1], "material": [11], "on_hand": [2.0]})
    )
    assert not bring(STOCK, "mostrador,material,existencia\n1,11,2\n").changed
    assert stored(lakehouse, STOCK)["in_transit"].to_list() == [None]


def test_headings_that_mean_nothing_are_reported_and_empty_ones_are_not(bring: Bring) -> None:
    report = bring(STOCK, "color,mostrador,,material,existencia, x \nrojo,1,,11,3,\n")
    assert report.ignored_columns == ("color", "x")


def test_a_forecast_may_be_tiny_in_a_typed_file(bring: Bring, lakehouse: DeltaLakehouse) -> None:
    frame = pl.DataFrame({"cp": [6000], "material": [11], "pronostico": [3.2e-8]})
    bring(AREA_FORECAST, as_parquet(frame), name="p.parquet")
    assert stored(lakehouse, AREA_FORECAST)["area_demand"].to_list() == [3.2e-8]


def test_a_postal_code_of_no_counter_is_taken_with_a_warning(bring: Bring) -> None:
    lines = "cp,material,pronostico\n6000,11,1\n"
    assert bring(AREA_FORECAST, lines).warnings == ()
    assert bring(AREA_FORECAST, lines + "6001,11,1\n").warnings == (
        "1 código postal no es de ningún mostrador: 06001",
    )
    report = bring(AREA_FORECAST, lines + "".join(f"{code},11,1\n" for code in range(6001, 6006)))
    assert report.rows_rejected == 0
    assert report.warnings == (
        "5 códigos postales no son de ningún mostrador: 06001, 06002, 06003 y 2 más",
    )


def test_bounds_and_today_are_within(bring: Bring) -> None:
    report = bring(SELLOUT, HEADING + "1,11,2024-06-30,0\n1,12,2024-06-30,10000000\n")
    assert report.rows_accepted == 2


EXPECTED = pl.DataFrame(
    [(1, 11, 12.5, 0.0, dt.date(2024, 1, 31)), (2, 12, 1234.0, 3.0, None)],
    schema=STOCK.schema,
    orient="row",
)


def as_workbook(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_excel(stream)
    return stream.getvalue()


def as_parquet(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


TYPED = EXPECTED.rename(dict(STOCK.labels))
SPANISH = (
    "Mostrador;SKU;Existencias;En tránsito;Fecha\n001;11.0;12,5;;31/01/2024\n2;12;1234,00;3;\n"
)
FLOATS = TYPED.cast({"mostrador": pl.Float64, "fecha": pl.Datetime})
FILES = {
    "a.csv": b"mostrador,material,existencia,en_transito,fecha\n"
             b"1,11,12.5,,2024-01-31\n2,12,\"1,234\",3,\n",
    "b.csv": SPANISH.encode(),
    "c.csv": SPANISH.encode("utf-8-sig"),
    "d.csv": SPANISH.replace("\n", "\r\n").encode("cp1252"),
    "e.xlsx": as_workbook(TYPED),
    "f.xlsx": as_workbook(FLOATS),
    "g.xlsx": as_workbook(TYPED.cast(pl.String)),
    "h.parquet": as_parquet(TYPED),
    "i.parquet": as_parquet(FLOATS),
    "j.parquet": as_parquet(TYPED.cast(pl.String)),
    "k.csv": SPANISH.replace(";", "\t").replace("12,5", "12.5").encode("utf-16"),
    "l.csv": ("sep=;\n" + SPANISH).encode(),
    "m.csv": SPANISH.replace("\n", "\r").encode(),
    "n.csv": SPANISH.replace("\n", "\r").encode("cp1252"),
    "o.xlsx": as_workbook(FLOATS.with_columns(fecha=pl.lit(pl.Series([45_322.5, None])))),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_table(
    bring: Bring, lakehouse: DeltaLakehouse, name: str
) -> None:
    report = bring(STOCK, FILES[name], name=name)
    assert report == ImportReport("existencias", 2, 2, 0, 2, 0, changed=True, rejections=None)
    assert_frame_equal(stored(lakehouse, STOCK), EXPECTED)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_switch_may_be_a_true_or_false_cell(
    bring: Bring, lakehouse: DeltaLakehouse, kind: str
) -> None:
    frame = pl.DataFrame(
        {"mostrador": [1, 2], "incluye_otc": [True, False], "fecha_actualizacion": [None, None]}
    )
    write = {"csv": lambda: frame.write_csv().encode(), "xlsx": lambda: as_workbook(frame)}
    bring(CONFIGURATIONS, write.get(kind, lambda: as_parquet(frame))(), name=f"c.{kind}")
    assert stored(lakehouse, CONFIGURATIONS)["include_over_the_counter"].to_list() == [True, False]


def test_a_number_of_a_workbook_is_taken_to_nine_decimals(
    bring: Bring, lakehouse: DeltaLakehouse
) -> None:
    frame = pl.DataFrame({"material": [11, 12], "precio": [0.1 + 0.2, 1 / 3]})
    bring(MATERIALS, as_workbook(frame), name="p.xlsx")
    assert stored(lakehouse, MATERIALS)["price"].to_list()[:2] == [0.3, 0.333333333]
