"""Places in a list as callers carry them."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.server.api.cursor import (
    _encode,
    read_job_cursor,
    read_position,
    write_job_cursor,
    write_position,
)
from ipp.server.api.problem_response import BodyError
from tests.unit.jobs.job_builder import NOW, build_job


def test_a_cursor_leads_back_to_its_place() -> None:
    place = read_job_cursor(write_job_cursor(build_job("ipp-7"), "ana"), "ana")
    assert (place.created_at, place.job_id) == (NOW, "ipp-7")


def test_a_cursor_is_its_callers_alone() -> None:
    with pytest.raises(BodyError, match="cursor"):
        read_job_cursor(write_job_cursor(build_job(), "ana"), "beto")


@given(
    st.text(max_size=80) | st.binary(max_size=40).map(lambda raw: urlsafe_b64encode(raw).decode())
)
def test_no_text_is_taken_for_a_cursor(text: str) -> None:
    with pytest.raises(BodyError):
        read_job_cursor(text, "ana")


@pytest.mark.parametrize("edit", ["{}!", " {}", "{}=="], ids=repr)
def test_a_cursor_holds_to_the_letter(edit: str) -> None:
    given_ = write_position(12, "ana")
    assert read_position(given_, "ana") == 12
    with pytest.raises(BodyError):
        read_position(edit.format(given_), "ana")


@given(st.integers(0, 60), st.characters(codec="ascii"))
def test_an_edited_cursor_is_refused(place: int, letter: str) -> None:
    whole = write_job_cursor(build_job(), "ana")
    edited = whole[:place] + letter + whole[place + 1 :]
    if edited != whole:
        with pytest.raises(BodyError):
            read_job_cursor(edited, "ana")


@pytest.mark.parametrize(
    "moment", ["2026-07-01T12:00:00", "2026-07-01T12:00:00.000001+00:00", "ayer"]
)
def test_a_forged_moment_that_no_job_can_have_is_refused(moment: str) -> None:
    forged = _encode([moment, "ipp-1"], ["ana"])
    with pytest.raises(BodyError):
        read_job_cursor(forged, "ana")


@pytest.mark.parametrize("place", [-1, 10**12 + 1, 10**30])
def test_a_place_that_no_list_has_is_refused_though_it_is_signed(place: int) -> None:
    with pytest.raises(BodyError, match="cursor"):
        read_position(write_position(place, "ana"), "ana")


def test_a_cursor_of_another_list_is_refused() -> None:
    for text in (write_position(7, "ana"), write_position(7, "ana", "q")):
        with pytest.raises(BodyError, match="cursor"):
            read_job_cursor(text, "ana")
        with pytest.raises(BodyError, match="cursor"):
            read_position(text, "ana", "otra")
    with pytest.raises(BodyError, match="cursor"):
        read_position(write_job_cursor(build_job(), "ana"), "ana")
    assert read_position(write_position(7, "ana", "q"), "ana", "q") == 7


@pytest.mark.parametrize("place", [True, 7.0, "7", None, [7]])
def test_a_position_is_a_whole_number(place: object) -> None:
    with pytest.raises(BodyError, match="cursor"):
        read_position(_encode([place], ["ana"]), "ana")


def test_cursors_given_by_the_version_before_go_on() -> None:
    """A list may be read across a deployment."""
    position = "WzEwMCwiNzI5OWZjY2M5OGQxOGYxYSJd"
    assert read_position(position, "ana", "ipp-7", None) == 100
    after = "WyIyMDI2LTA3LTAxVDEyOjAwOjAwKzAwOjAwIiwiaXBwLTciLCIwZGY3NTAyNjRiNGMxM2I0Il0"
    assert read_job_cursor(after, "ana").job_id == "ipp-7"
