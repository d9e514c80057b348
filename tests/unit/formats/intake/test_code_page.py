"""A text in DOS's or a Mac's encoding is refused, never read with wrong letters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ipp.errors import UnreadableFileError
from ipp.formats.intake import code_page
from ipp.formats.intake.code_page import find_foreign_word
from ipp.formats.intake.file_reader import read_cells

NAMES = (
    "ácido fólico", "azúcar", "piña", "niño", "solución oral", "ácaros", "cápsulas", "clínico",
    "médico", "corazón", "último", "ungüento", "óptimo", "ñandú", "té", "maní", "crema de día",
    "úlcera", "íntimo", "comité", "jalapeño",
)  # fmt: skip
CASES = (str.lower, str.upper, str.title, str.capitalize)
OTHERS = ("cp850", "cp437", "mac_roman")

written = st.lists(
    st.builds(lambda name, case: case(name), st.sampled_from(NAMES), st.sampled_from(CASES)),
    min_size=1,
    max_size=6,
)


def read_names(folder: Path, content: bytes) -> list[str]:
    (folder / "datos.csv").write_bytes(content)
    cells = read_cells(folder / "datos.csv", folder)
    names: list[str] = cells.frame.collect()["#1"].to_list()
    return names


def lines_of(names: list[str]) -> str:
    return "material,descripcion\n" + "".join(f"{n},{name} 50 MG\n" for n, name in enumerate(names))


@given(written)
def test_names_in_the_encoding_of_windows_are_read(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("texto")
    expected = [f"{name} 50 MG" for name in names]
    assert read_names(folder, lines_of(names).encode("cp1252")) == expected


@given(written, st.sampled_from(OTHERS))
def test_names_in_another_encoding_are_refused(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], coding: str
) -> None:
    # Úlcera in DOS is élcera in Windows: no rule can tell a text whose only letter is such a Ú.
    beyond = {letter for name in names for letter in name if not letter.isascii()}
    assume(beyond != {"Ú"} or any(map(str.isupper, names)))
    folder = tmp_path_factory.mktemp("texto")
    try:
        content = lines_of(names).encode(coding)
    except UnicodeEncodeError:
        return
    with pytest.raises(UnreadableFileError) as refused:
        read_names(folder, content)
    line = refused.value.message.partition("en la línea ")[2].partition(",")[0]
    words = names[int(line) - 2].split()
    assert any(f"parece «{word}»" in refused.value.message for word in words)


@settings(max_examples=50)
@given(written, st.sampled_from(NAMES), st.integers(0, 6))
def test_one_line_in_utf_8_among_others_is_refused_by_its_number(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], other: str, place: int
) -> None:
    lines = [line.encode("cp1252") for line in lines_of(names).splitlines()]
    place = min(place + 1, len(lines))
    lines.insert(place, f"99,{other}".encode())
    (folder := tmp_path_factory.mktemp("texto")).joinpath("datos.csv").write_bytes(
        b"\n".join(lines)
    )
    with pytest.raises(UnreadableFileError, match=f"línea {place + 1},.* codificación UTF-8"):
        read_cells(folder / "datos.csv", folder)


@pytest.mark.parametrize(
    "name",
    [
        "L’Oréal", "Crème", "CRÈME", "LANCôME", "Lancôme", "50 µg", "µL", "µmol", "25 °C", "N° 5",
        "100 m²", "ASPIRINA®", "Nestlé", "FóLICO", "áCIDO", "SOLUCION\u00a0ORAL", "Omega–3", "€ 5",
        "½ kg", "¿Qué?", "¡Sí!", "Façonnable", "5 ± 2", "“Oferta”", "‘suave’", "1ª", "Nº", "MØLLER",
        "d’aceite", "Johnson’s", "São", "5¢", "£5", "10¥", "A•B", "mcg·mL", "Ö",
    ],
)  # fmt: skip
def test_a_brand_or_a_unit_alone_is_read(tmp_path: Path, name: str) -> None:
    assert read_names(tmp_path, f"a,b\n1,{name}\n".encode("cp1252")) == [name]


def test_where_the_text_is_cut_means_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = lines_of(["PLAIN"] * 5 + ["PIÑA"] + ["piña colada"] * 3).encode("cp850")
    (tmp_path / "t").write_bytes(content)
    whole = find_foreign_word(tmp_path / "t")
    assert whole is not None
    assert (whole.line, whole.read, whole.meant) == (7, "PI¥A", "PIÑA")
    for size in range(1, 60, 7):
        monkeypatch.setattr(code_page, "_CHUNK_BYTES", size)
        assert find_foreign_word(tmp_path / "t") == whole
