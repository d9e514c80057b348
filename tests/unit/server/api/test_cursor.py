"""Places in a list as callers carry them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp.server.api.cursor import _checksum, read_cursor, write_cursor
from ipp.server.api.problem_response import BodyError
from ipp.server.api.query_parameter import read_position, write_position
from tests.unit.jobs.job_builder import NOW, job


def test_a_cursor_leads_back_to_its_place() -> None:
    place = read_cursor(write_cursor(job("ipp-7"), "ana"), "ana")
    assert (place.created_at, place.job_id) == (NOW, "ipp-7")


def test_a_cursor_is_its_callers_alone() -> None:
    with pytest.raises(BodyError, match="cursor"):
        read_cursor(write_cursor(job(), "ana"), "beto")


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_cursor(text: str) -> None:
    with pytest.raises(BodyError):
        read_cursor(text, "ana")


@given(st.integers(0, 60), st.characters(codec="ascii"))
def test_an_edited_cursor_is_refused(place: int, letter: str) -> None:
    whole = write_cursor(job(), "ana")
    edited = whole[:place] + letter + whole[place + 1 :]
    if edited != whole:
        with pytest.raises(BodyError):
            read_cursor(edited, "ana")


@pytest.mark.parametrize(
    "moment", ["2026-07-01T12:00:00", "2026-07-01T12:00:00.000001+00:00", "ayer"]
)
def test_a_forged_moment_that_no_job_can_have_is_refused(moment: str) -> None:
    content = [moment, "ipp-1", _checksum([moment, "ipp-1"], "ana")]
    forged = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(BodyError):
        read_cursor(forged, "ana")


@pytest.mark.parametrize("place", [-1, 10**12 + 1, 10**30])
def test_a_place_that_no_list_has_is_refused_though_it_is_signed(place: int) -> None:
    with pytest.raises(BodyError, match="cursor"):
        read_position(write_position(place, "ana"), "ana")
