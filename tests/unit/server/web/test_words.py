"""Phrases and styles: each that is used is there, and each that is there is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ipp.formats.chart.plot
import ipp.server.web
from ipp.core.parameters import PARAMETER_FIELDS
from ipp.core.tables import CONFIGURATIONS
from ipp.jobs.job import JobStatus, Stage
from ipp.server.web import configuration_pages
from ipp.server.web.results import calculation_steps
from ipp.server.web.results.product_rows import SHOWN_COLUMNS
from ipp.server.web.translations import LANGUAGE_CODES, load_translations

WEB = Path(ipp.server.web.__file__).parent
TEMPLATES = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((WEB / "templates").glob("*.html"))
)
CODE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(WEB.rglob("*.py")))

DRAWING = Path(ipp.formats.chart.plot.__file__).read_text(encoding="utf-8")

PARTS = {**calculation_steps._TRADITIONAL_STEPS, **calculation_steps._PREDICTIVE_STEPS}
STEPS = [
    name
    for lines in (
        *calculation_steps._TRADITIONAL_STEPS.values(),
        *calculation_steps._PREDICTIVE_STEPS.values(),
    )
    for name, *_ in lines
]
MADE: dict[str, set[str]] = {
    "": {
        *(status.value for status in JobStatus),
        *(f"{stage.value}{end}" for stage in Stage for end in ("", "_que")),
        *(f"{field.label}{end}" for field in PARAMETER_FIELDS.values() for end in ("", "_que")),
        *(field.unit for field in PARAMETER_FIELDS.values()),
        *("all_valid", "partial_valid", "all_invalid"),
    },
    "res_c_": {*SHOWN_COLUMNS, "fill_rate", "rounding_factor"},
    "res_p_": {f"{name}{end}" for name in STEPS for end in ("", "_que")},
    "res_s_": set(PARTS),
    "conf_hecho_": set(configuration_pages._DONE_WORDS),
    "conf_": {
        *(
            column.label
            for column in CONFIGURATIONS.columns
            if column.label != "fecha_actualizacion"
        ),
        *next(column.choices for column in CONFIGURATIONS.columns if column.choices),
    },
}
"""Keys that are put together where they are used, by how they begin."""


def used() -> set[str]:
    """Every key that the page can ask for."""
    quoted = {
        key
        for key in re.findall(r"""["'](\w+)["']""", TEMPLATES + CODE)
        if key in load_translations("es").phrases
    }
    asked = set(re.findall(r"""say\(\s*["'](\w+)["']\s*[,)]""", TEMPLATES))
    made = {f"{begin}{end}" for begin, ends in MADE.items() for end in ends}
    notices = {key for key in quoted if key.startswith(("conf_", "ent_"))}
    explained = {f"{key}_que" for key in notices if f"{key}_que" in load_translations("es").phrases}
    return quoted | asked | made | explained


@pytest.mark.parametrize("language", LANGUAGE_CODES)
def test_every_phrase_that_is_asked_for_is_there_and_every_one_that_is_there_is_asked_for(
    language: str,
) -> None:
    phrases = set(load_translations(language).phrases)
    assert sorted(used() - phrases) == []
    assert sorted(phrases - used()) == []


def test_the_beginnings_of_keys_that_are_put_together_are_known() -> None:
    begun = set(re.findall(r"""say\(["'](\w+)["'] ~""", TEMPLATES))
    assert begun == MADE.keys() - {""}


def test_every_phrase_is_in_every_language_with_the_same_places() -> None:
    first, *others = (load_translations(language).phrases for language in LANGUAGE_CODES)
    places = {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in first.items()}
    for other in others:
        assert {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in other.items()} == places


@pytest.mark.parametrize("language", LANGUAGE_CODES)
def test_a_phrase_is_a_phrase(language: str) -> None:
    for key, text in load_translations(language).phrases.items():
        assert text == " ".join(text.split()) != "", key
        assert text.count("«") == text.count("»"), key


def test_every_rule_of_the_style_sheet_is_of_something_on_a_page() -> None:
    sheet = re.sub(
        r"/\*.*?\*/|{[^{}]*}", " ", (WEB / "static" / "estilo.css").read_text(encoding="utf-8")
    )
    classes = set(re.findall(r"\.([a-z][\w-]*)", sheet))
    named = re.findall(r'class="([^"]*)"', TEMPLATES)
    drawn = re.findall(r'"([a-z ]+)"', DRAWING + CODE)
    given = set(re.findall(r"[\w-]+", " ".join([*named, *drawn]))) | {"number"}
    assert sorted(classes - given) == []
    elements = set(re.findall(r"(?:^|[\s,>])([a-z][a-z0-9]*)(?=[\s,.:\[>{]|$)", sheet)) - {
        "media",
        "and",
        "prefers",
        "screen",
        "min",
    }
    written = set(re.findall(r"<([a-z][a-z0-9]*)", TEMPLATES)) | {
        "h2",
        "h3",
        "root",
        "text",
        "path",
    }
    assert sorted(elements - written) == []
