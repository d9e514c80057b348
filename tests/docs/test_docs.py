"""What the documents say is so."""

from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path

import pytest

from ipp.cli import run_cli
from ipp.core.parameters import MIN_CHANCE, PACK_TOLERANCE, TRIM_BRACKETS, Parameters
from ipp.core.product_groups import BUMP_EXCLUDED

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("requirements/*.md")]
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_the_reference_is_what_the_contracts_and_declarations_say() -> None:
    folder = ROOT / "docs" / "reference"
    for name, document in runpy.run_path(str(folder / "write.py"))["DOCUMENTS"].items():
        assert (folder / name).read_text(encoding="utf-8") == document(), "make docs"


@pytest.mark.parametrize("name", ["README.md", "README.es.md", "CONTRIBUTING.md"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(
        re.findall(
            r"(?:`|^)make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert named <= targets


@pytest.mark.parametrize("name", ["README.md", "README.es.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_every_command_and_option_that_is_named_exists(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for line in re.findall(r"(?:`|^)ipp ([a-z]+[^`\n#]*)", text, re.MULTILINE):
        command = line.split()[0]
        assert run_cli([command, "--ayuda"]) == 0, command
        shown = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown or option == "--ayuda", f"{command} {option}"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(
        r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")
    )
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = re.findall(r'^  "([a-z0-9-]+)>=', project, re.MULTILINE)
    assert len(names) > 10
    assert [name for name in names if name not in reasons] == []


def test_the_model_has_the_codes_own_numbers() -> None:
    model = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    for upper, value in TRIM_BRACKETS[:-1]:
        assert f"≤{upper:g} → {str(value).removeprefix('0')}".replace("→ 1.0", "→ 1") in model
    assert ", ".join(["11", "22", "2G", "R1", "RE", "RD", "RG", "R2", "R3"]) in model
    assert {"11", "22", "2G", "R1", "RE", "RD", "RG", "R2", "R3"} == BUMP_EXCLUDED
    defaults = Parameters()
    assert f"{defaults.bump_share:.1%} of the products" in model
    assert f"dias_inversion_deseados ({defaults.investment_days:g})" in model
    assert (PACK_TOLERANCE.denominator, round(1 / MIN_CHANCE)) == (6, 1_000)


def test_nothing_committed_names_where_packages_come_from() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is committed is not known")
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    registries = re.compile(
        r"(pypi\.org|pythonhosted|npmjs|index-url|registry\s*=\s*.?https?:)", re.IGNORECASE
    )
    named = [
        name
        for name in files
        if name
        and (ROOT / name).is_file()
        and name != "tests/docs/test_docs.py"
        and registries.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))
    ]
    assert named == ["Makefile"]  # --no-emit-index-url
