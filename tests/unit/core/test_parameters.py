"""What a run may set, and its bounds."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.core.parameters import PARAMETER_BOUNDS, TRIM_BRACKETS, Parameters, factor_percent
from ipp.errors import InvalidInputError


@pytest.mark.parametrize("name", PARAMETER_BOUNDS)
def test_the_bounds_are_inclusive_and_what_lies_outside_is_refused_by_name(name: str) -> None:
    bound = PARAMETER_BOUNDS[name]
    for value in (bound.minimum, bound.maximum):
        Parameters(**{name: value})
    for value in (bound.minimum - 0.01, bound.maximum * 1.01, math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidInputError, match=bound.label):
            Parameters(**{name: value})


@pytest.mark.parametrize("value", ["21", True, [21]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="dias_inventario"):
        Parameters(cover_days=value)  # type: ignore[arg-type]  # what a caller without types may do


def test_every_field_has_bounds() -> None:
    assert {field.name for field in fields(Parameters)} == set(PARAMETER_BOUNDS)


@given(st.integers(1, 99))
def test_a_factor_has_two_decimals(percent: int) -> None:
    assert factor_percent(percent / 100) == percent
    with pytest.raises(InvalidInputError):
        factor_percent(percent / 100 + 0.004)


def test_parameters_go_through_their_labels_unchanged() -> None:
    parameters = Parameters(forced_factor=0.2, target_investment=5.5)
    assert Parameters.from_labels(parameters.to_labels()) == parameters
    with pytest.raises(InvalidInputError, match="jorobas"):
        Parameters.from_labels({"jorobas": 1})


def test_the_trim_falls_bracket_by_bracket() -> None:
    uppers, values = zip(*TRIM_BRACKETS, strict=True)
    assert list(uppers) == sorted(uppers)
    assert list(values) == sorted(values, reverse=True)
    assert uppers[-1] == math.inf
