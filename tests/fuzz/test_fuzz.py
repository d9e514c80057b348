"""Mutated files, bodies and forms: a part of what ``make fuzz`` sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.server import run_server
from tests.fuzz.__main__ import fill_home
from tests.fuzz.case import KINDS, build_case
from tests.fuzz.fuzz_run import Figures, run_cases

CASES = 60
SEED = 18


def test_a_case_is_known_by_its_seed_and_number() -> None:
    for number in range(2 * len(KINDS)):
        assert build_case(7, number) == build_case(7, number)
    assert build_case(7, 1) != build_case(8, 1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="figures are read from /proc")
def test_no_mutated_file_body_or_form_breaks_a_law(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fill_home(home)
    figures = Figures()
    cases = [build_case(SEED, number) for number in range(CASES)]
    with run_server(home) as server:
        assert [*run_cases(server, cases, figures, tmp_path / "failures")] == cases
    assert not figures.broken, figures.describe()
    assert sum(figures.answers.values()) == CASES
    assert {kind for kind, _ in figures.answers} == {*KINDS}
    assert any(status == 200 for _, status in figures.answers), "mutations are not all refused"
