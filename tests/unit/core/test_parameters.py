"""What a run may set, its bounds, and the form in which it is stored."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.parameters import PARAMETER_FIELDS, TRIM_BRACKETS, Parameters
from ipp.errors import InvalidInputError
from tests.parameters import later_labels, parameters


@pytest.mark.parametrize("name", PARAMETER_FIELDS)
def test_the_bounds_are_inclusive_and_what_lies_outside_is_refused_by_name(name: str) -> None:
    declared = PARAMETER_FIELDS[name]
    for value in (declared.minimum, declared.maximum):
        Parameters.from_labels({declared.label: value})
    for value in (
        declared.minimum - 0.01, declared.maximum * 1.01, math.nan, math.inf, -math.inf
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=declared.label):
            Parameters.from_labels({declared.label: value})


@pytest.mark.parametrize("value", ["21", True, [21]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="dias_inventario"):
        Parameters(cover_days=value)  # type: ignore[arg-type]  # what a caller without types may do


@pytest.mark.parametrize("name", PARAMETER_FIELDS)
def test_only_a_parameter_that_is_none_by_default_may_be_none(name: str) -> None:
    nothing: dict[str, Any] = {name: None}
    if PARAMETER_FIELDS[name].default is None:
        assert Parameters(**nothing) == Parameters()
    else:
        with pytest.raises(InvalidInputError, match=PARAMETER_FIELDS[name].label):
            Parameters(**nothing)


def test_every_parameter_is_declared_once_with_a_label_of_its_own() -> None:
    assert {*PARAMETER_FIELDS, "unknown"} == set(Parameters.__dataclass_fields__)
    assert len({field.label for field in PARAMETER_FIELDS.values()}) == len(PARAMETER_FIELDS)


@given(st.integers(1, 99))
def test_a_factor_has_two_decimals(percent: int) -> None:
    assert Parameters(forced_factor=percent / 100).forced_factor == percent / 100
    with pytest.raises(InvalidInputError, match="con 2 decimales a lo más"):
        Parameters(forced_factor=percent / 100 + 0.004)


@given(parameters)
def test_parameters_go_through_their_labels_unchanged(given_: Parameters) -> None:
    assert Parameters.from_labels(given_.to_labels()) == given_


def test_a_person_may_not_give_a_label_that_does_not_exist() -> None:
    with pytest.raises(InvalidInputError, match="jorobas"):
        Parameters.from_labels({"jorobas": 1})


@given(parameters, later_labels)
def test_a_document_of_any_release_is_read_and_written_back_unchanged(
    given_: Parameters, later: dict[str, Any]
) -> None:
    document = json.loads(json.dumps(given_.to_document())) | later
    read = Parameters.from_document(document)
    assert read.to_document() == document
    assert read.to_labels() == given_.to_labels()
    assert dict(read.unknown) == later


@given(parameters)
def test_a_document_is_the_same_with_or_without_what_was_not_given(given_: Parameters) -> None:
    document = given_.to_document()
    assert None not in document.values()
    assert Parameters.from_document(given_.to_labels()).to_document() == document


def test_the_trim_falls_bracket_by_bracket() -> None:
    uppers, values = zip(*TRIM_BRACKETS, strict=True)
    assert list(uppers) == sorted(uppers)
    assert list(values) == sorted(values, reverse=True)
    assert uppers[-1] == math.inf


@pytest.mark.parametrize("name", PARAMETER_FIELDS)
def test_a_value_beyond_its_bounds_does_not_look_like_one_of_them(name: str) -> None:
    declared = PARAMETER_FIELDS[name]
    for beyond in (declared.maximum + 0.01, declared.minimum - 0.001):
        with pytest.raises(InvalidInputError) as refused:
            declared.check_value(beyond)
        shown = refused.value.message.partition(" = ")[2].split()[0]
        assert float(shown.replace(",", "")) == pytest.approx(beyond, rel=1e-14)
        assert float(shown.replace(",", "")) not in {declared.minimum, declared.maximum}
        bounds = re.findall(r"-?[0-9][0-9,.]*", refused.value.hint.partition("(")[0])
        assert [float(b.replace(",", "")) for b in bounds] == [declared.minimum, declared.maximum]
