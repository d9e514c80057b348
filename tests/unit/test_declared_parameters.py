"""A declared parameter is an option, a field of the body, a field of the form and a phrase."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipp.cli import run_cli
from ipp.cli.option import read_model_options
from ipp.core.parameters import PARAMETER_FIELDS, Parameters
from ipp.server.api.job_routes import ParametersBody
from ipp.server.web.new_job import _parameter_fields, _read_parameters
from ipp.server.web.translations import LANGUAGE_CODES, load_translations

NAMES = list(PARAMETER_FIELDS)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_an_option_that_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    declared = PARAMETER_FIELDS[name]
    assert run_cli(["run", "--ayuda"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert declared.option in shown
    assert declared.describe() in shown


@pytest.mark.parametrize("name", NAMES)
def test_its_option_is_refused_by_name_beyond_its_bounds(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IPP_HOME", str(tmp_path))
    declared = PARAMETER_FIELDS[name]
    beyond = f"{2 * declared.maximum:f}"
    assert run_cli(["run", "--todos", declared.option, beyond]) == 2
    assert f"{declared.option} " in capsys.readouterr().err


def test_without_options_every_parameter_has_its_default() -> None:
    assert read_model_options(None) == Parameters()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_the_description_of_the_body_with_its_bounds(name: str) -> None:
    declared = PARAMETER_FIELDS[name]
    number, null = ParametersBody.model_json_schema()["properties"][declared.label]["anyOf"]
    assert (number["minimum"], number["maximum"]) == (declared.minimum, declared.maximum)
    assert null == {"type": "null"}


def test_the_form_as_it_is_shown_gives_the_defaults() -> None:
    shown = {field["name"]: field["value"] for field in _parameter_fields({})}
    assert list(shown) == [declared.label for declared in PARAMETER_FIELDS.values()]
    assert _read_parameters(shown) == Parameters()


@pytest.mark.parametrize("language", LANGUAGE_CODES)
@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_its_words_in_every_language(name: str, language: str) -> None:
    say, declared = load_translations(language), PARAMETER_FIELDS[name]
    assert say(declared.label) == getattr(declared.title, language)
    assert say(f"{declared.label}_que") == declared.describe(language)
    assert say(declared.unit)
