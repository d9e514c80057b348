"""The contracts of the tables, and the groups of categories."""

from __future__ import annotations

import itertools
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.contract import Column, Kind, Table, normalise_label
from ipp.core.product_category import find_excluded_group
from ipp.core.product_groups import PRODUCT_GROUPS
from ipp.core.tables import CONFIGURATIONS, IMPORTABLE_TABLES, RESULTS
from ipp.core.workbook_columns import PROCESSED_TABLE, RAW_TABLE, SOURCE_TABLE

STORED = [*IMPORTABLE_TABLES.values(), RESULTS]
ALL = [*STORED, RAW_TABLE, PROCESSED_TABLE, SOURCE_TABLE]


@pytest.mark.parametrize("table", ALL, ids=lambda t: t.title)
def test_names_and_labels_are_unique_and_the_key_is_among_them(table: Table) -> None:
    assert len(table.by_name) == len(table.columns) == len(table.labels) == len(table.names)
    assert set(table.key) <= set(table.by_name)
    assert set(table.partition_by) <= set(table.by_name)
    assert all(column.about.endswith(".") for column in table.columns)


@pytest.mark.parametrize("table", STORED, ids=lambda t: t.title)
def test_stored_labels_fit_into_delta_and_key_columns_are_required(table: Table) -> None:
    assert all(re.fullmatch(r"[a-z0-9_]+", column.label) for column in table.columns)
    assert all(table.by_name[name].required for name in table.key)


@pytest.mark.parametrize("table", [*IMPORTABLE_TABLES.values()], ids=lambda t: t.title)
def test_no_heading_means_two_columns(table: Table) -> None:
    spellings = [spelling for column in table.columns for spelling in column.spellings]
    assert len(spellings) == len(set(spellings))


def test_references_lead_to_tables_people_import() -> None:
    names = {table.name for table in IMPORTABLE_TABLES.values()}
    assert all(target in names for table in STORED for target in table.references.values())


@given(
    st.sampled_from([c.label for t in ALL for c in t.columns]),
    st.sampled_from([" ", ".", "  ", "/", "_"]),
)
def test_spellings_without_accents_dots_or_spaces_are_the_same(label: str, filler: str) -> None:
    plain = str.maketrans("áéíóúÁÉÍÓÚ", "aeiouAEIOU")
    assert normalise_label(filler.join(label.translate(plain).upper())) == normalise_label(label)


def test_conform_gives_exactly_the_contract() -> None:
    frame = RESULTS.conform_rows(
        pl.LazyFrame({"material": ["7"], "mostrador": [1], "extra": [0]})
    ).collect()
    assert frame.schema == RESULTS.schema
    assert frame["material"].to_list() == [7]


def test_the_configuration_has_the_nine_switches_of_the_house() -> None:
    switches = [c.label for c in CONFIGURATIONS.columns if c.label.startswith("incluye_")]
    assert switches == [
        "incluye_refrigerados", "incluye_psicotropicos", "incluye_especialidades",
        "incluye_genericos", "incluye_dispositivos_medicos", "incluye_complementos_alimenticios",
        "incluye_dermatologico", "incluye_otc", "incluye_etico_patente",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "groups"),
    [
        ("R1", {"refrigerated"}), ("RG", {"refrigerated", "generic"}),
        ("2G", {"psychotropic", "generic"}),
        ("22", {"psychotropic"}), ("11", {"speciality"}), ("GG", {"generic"}), ("EPG", {"generic"}),
        ("DMDM", {"device"}), ("CACA", {"supplement"}), ("33", {"dermatological"}),
        ("OO", {"over_the_counter"}), ("EPEP", {"branded"}), (" epep ", {"branded"}), ("ZZ", set()),
        (None, set()),
    ],
)  # fmt: skip
def test_each_category_is_left_out_by_the_switches_of_its_groups_alone(
    code: str | None, groups: set[str]
) -> None:
    on = pl.DataFrame({"category": [code]}, schema={"category": pl.String}).with_columns(
        pl.lit(value).alias(group.switch_name)
        for group, value in zip(PRODUCT_GROUPS, itertools.cycle([True, None]), strict=False)
    )
    for group in PRODUCT_GROUPS:
        off = on.with_columns(pl.lit(value=False).alias(group.switch_name))
        found = off.select(find_excluded_group("category")).item()
        assert found == (group.title if group.name in groups else None)
    assert on.select(find_excluded_group("category")).item() is None


@pytest.mark.parametrize(
    ("kind", "how", "cell_format"),
    [
        (Kind.ID, {}, "0"),
        (Kind.ID, {"digits": 5}, "00000"),
        (Kind.NUMBER, {"unit": "MXN"}, "#,##0.00"),
        (Kind.NUMBER, {"unit": "piezas"}, "#,##0.######"),
        (Kind.COUNT, {}, "#,##0"),
        (Kind.DATE, {}, "yyyy-mm-dd"),
        (Kind.TEXT, {}, "General"),
        (Kind.FLAG, {}, "General"),
    ],
)
def test_a_cell_is_shown_by_its_kind_and_its_unit(
    kind: Kind, how: dict[str, Any], cell_format: str
) -> None:
    assert Column("a", "A", kind, "One.", **how).cell_format == cell_format
