"""The documents are complete, lead somewhere, and agree with the code."""

from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path

import pytest

from ipp.cli import run_cli
from ipp.core.parameters import MIN_CHANCE, PACK_TOLERANCE, TRIM_BRACKETS, Parameters
from ipp.core.product_groups import BUMP_EXCLUDED
from ipp.errors import IppError
from ipp.server.api.problem_response import http_status

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.glob("**/*.md"),
        *ROOT.glob("requirements/*.md"),
        ROOT / "bench" / "README.md",
    ]
)
GENERATED = runpy.run_path(str(DOCS / "reference" / "write.py"))["DOCUMENTS"]
GUIDES = [path for path in DOCUMENTS if path.parent.name not in {"decisions", "requirements"}]


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """The fragments by which the headings of a document are linked, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, fragment in re.findall(
        r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", document.read_text(encoding="utf-8")
    ):
        if "://" in target:
            continue
        place = document.parent / target if target else document
        assert place.exists(), target
        assert not fragment or fragment in anchors(place), f"{target}#{fragment}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"[`(]((?:[\w.-]+/)+[\w-]+\.(?:py|toml|js|yml|yaml))\b", text))
    places = (ROOT, ROOT / "src" / "ipp", document.parent)
    missing = [name for name in named if not any((at / name).is_file() for at in places)]
    assert missing == []


def test_every_document_is_in_the_index_once() -> None:
    index = DOCS / "README.md"
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \|", index.read_text("utf-8"), re.MULTILINE)
    listed = [(DOCS / target).resolve() for target in rows]
    own = [
        path
        for path in DOCS.glob("**/*.md")
        if path.parent.name != "decisions"
        and (path.parent.name != "runbooks" or path.name == "README.md")
    ]
    assert sorted(listed) == sorted(
        [
            *(path for path in own if path != index),
            DOCS / "decisions" / "README.md",
            ROOT / "CONTRIBUTING.md",
            ROOT / "bench" / "README.md",
        ]
    )


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_reference_is_what_the_code_says(name: str) -> None:
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == GENERATED[name](), "make docs"


def test_every_setting_is_listed_and_every_setting_listed_is_read() -> None:
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(IPP_[A-Z_]+)` \|", text, re.MULTILINE))
    sources = [*(ROOT / "src").rglob("*.py"), ROOT / "infra" / "template.yaml"]
    read = {
        name
        for source in sources
        for name in re.findall(r"\bIPP_[A-Z_]*[A-Z]\b", source.read_text(encoding="utf-8"))
    }
    assert listed == read


def test_every_problem_has_the_status_that_is_listed() -> None:
    text = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")
    listed = {
        code: int(status)
        for status, codes in re.findall(r"^\| (\d{3}) \| (`.+`) \|$", text, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    kinds = {kind.code: http_status(kind.__new__(kind)) for kind in subclasses(IppError)}
    assert len(listed) > 15
    assert listed == {code: kinds.get(code) for code in listed}


def subclasses(kind: type[IppError]) -> set[type[IppError]]:
    own = kind.__subclasses__()
    return set(own).union(*(subclasses(each) for each in own))


@pytest.mark.parametrize("document", GUIDES, ids=name_of)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", GUIDES, ids=name_of)
def test_every_command_and_option_that_is_named_exists(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = document.read_text(encoding="utf-8")
    for line in re.findall(r"(?:`|^)ipp ([a-z]+[^`\n#|&]*)", text, re.MULTILINE):
        command = line.split()[0]
        assert run_cli([command, "--ayuda"]) == 0, command
        shown = capsys.readouterr().out
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown or option == "--ayuda", f"{command} {option}"


def test_every_block_is_valid_shell() -> None:
    for document in GUIDES:
        for block in re.findall(r"^```sh\n(.*?)^```", document.read_text("utf-8"), re.M | re.S):
            subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.parametrize("name", ["README.md", "README.es.md"])
def test_a_readme_is_read_in_one_go(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 120


def test_both_readmes_give_the_same_commands_and_figures() -> None:
    english, spanish = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md")
    )
    for pattern in (
        r"^(?:ipp|make|curl|export) [^#\n]*[^#\s]",
        r"^#+ ",
        r"\d[\d,.]+ (?:s|ms|MB)\b",
    ):
        assert re.findall(pattern, english, re.M) == re.findall(pattern, spanish, re.M)


def test_every_decision_is_listed() -> None:
    folder = DOCS / "decisions"
    listed = re.findall(
        r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")
    )
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_every_dependency_has_its_reason() -> None:
    reasons = (DOCS / "decisions" / "0001-dependencies.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = re.findall(r'^  "([a-z0-9-]+)>=', project, re.MULTILINE)
    assert len(names) > 10
    assert [name for name in names if name not in reasons] == []


def test_the_model_has_the_codes_own_numbers() -> None:
    model = (DOCS / "explanation" / "model.md").read_text(encoding="utf-8")
    for upper, value in TRIM_BRACKETS[:-1]:
        assert f"≤{upper:g} → {str(value).removeprefix('0')}".replace("→ 1.0", "→ 1") in model
    assert ", ".join(["11", "22", "2G", "R1", "RE", "RD", "RG", "R2", "R3"]) in model
    assert {"11", "22", "2G", "R1", "RE", "RD", "RG", "R2", "R3"} == BUMP_EXCLUDED
    defaults = Parameters()
    assert f"{defaults.bump_share:.1%} of the products" in model
    assert f"dias_inversion_deseados ({defaults.investment_days:g})" in model
    assert (PACK_TOLERANCE.denominator, round(1 / MIN_CHANCE)) == (6, 1_000)


def test_nothing_committed_names_a_package_index() -> None:
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
