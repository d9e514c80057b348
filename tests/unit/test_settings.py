"""Where IPP keeps its things."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipp.errors import InvalidInputError
from ipp.settings import Settings


def test_the_home_is_what_the_environment_says_else_one_of_the_persons_own(tmp_path: Path) -> None:
    assert Settings.from_environment({"IPP_HOME": str(tmp_path)}).home == tmp_path
    assert Settings.from_environment({"IPP_HOME": ""}).home == Path.home() / "ipp"
    assert Settings.from_environment({}).home == Path.home() / "ipp"


@pytest.mark.parametrize("name", ["a%20b", "a[1]", "a*", "a?", "{a}"])
def test_a_folder_that_readers_would_take_for_a_pattern_is_refused(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="no entienden"):
        Settings.from_environment({"IPP_HOME": str(tmp_path / name)})


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InvalidInputError, match="no es una carpeta"):
        Settings.from_environment({"IPP_HOME": str(tmp_path / "a")})


@pytest.mark.parametrize("origins", ["*", "https://a.mx, *", "https://*.a.mx"])
def test_no_origin_stands_for_all(origins: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cualquier página"):
        Settings.from_environment({"IPP_HOME": str(tmp_path), "IPP_ORIGINS": origins})


def test_results_are_kept_for_ever_unless_somebody_says_for_how_long(tmp_path: Path) -> None:
    home = {"IPP_HOME": str(tmp_path)}
    assert Settings.from_environment(home).retention_days is None
    assert Settings.from_environment(home | {"IPP_RETENTION_DAYS": "730"}).retention_days == 730
    with pytest.raises(InvalidInputError, match="IPP_RETENTION_DAYS = 0"):
        Settings.from_environment(home | {"IPP_RETENTION_DAYS": "0"})
