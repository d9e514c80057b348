"""What every store of jobs promises, run on each of them."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.jobs.job import CLOCK_MARGIN, KEY_CLAIM_RETENTION, RETENTION, Job, JobStatus
from ipp.jobs.job_store import JobCursor, JobStore
from tests.contract.jobs import NOW, OWNERS, build_job, count_job, job_crowds, jobs, read_count
from tests.fakes import MemoryJobStore

MS: Final = dt.timedelta(milliseconds=1)
THREADS: Final = 12

New = Callable[[], JobStore]
"""Makes a store that is empty."""

Created = Callable[[Job], tuple[JobStore, Job]]


@pytest.fixture(scope="module", params=["sqlite", "dynamodb", "memory"])
def new(request: pytest.FixtureRequest) -> New:
    if request.param == "memory":
        return MemoryJobStore
    made: New = request.getfixturevalue(f"new_{request.param}")
    return made


@pytest.fixture
def store(new: New) -> JobStore:
    return new()


@pytest.fixture(scope="module")
def created(new: New) -> Created:
    """Stores a job, under an id that no example before had, in one store for all of them."""
    store, numbers = new(), itertools.count()

    def create(made: Job) -> tuple[JobStore, Job]:
        made = replace(made, job_id=f"{made.job_id}-{next(numbers)}")
        assert store.create_job(made, made.updated_at)
        return store, made

    return create


def at_once(calls: list[Callable[[], bool]]) -> list[bool]:
    """What the calls answer, each in a thread of its own, all let go together."""
    answers: list[bool] = [False] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(place: int) -> None:
        gate.wait()
        answers[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def everything(store: JobStore, now: dt.datetime = NOW) -> list[Job]:
    return list(store.list_jobs(owner=None, status=None, limit=100, after=None, now=now))


@settings(max_examples=60)
@given(made=jobs)
def test_what_is_created_is_read_back_exactly(created: Created, made: Job) -> None:
    store, made = created(made)
    assert store.get_job(made.job_id, made.updated_at) == made


@settings(max_examples=25)
@given(made=jobs, later=jobs)
def test_what_replaces_is_read_back_exactly(created: Created, made: Job, later: Job) -> None:
    store, made = created(made)
    later = replace(later, job_id=made.job_id, version=made.version + 1)
    assert store.replace_job(later)
    assert store.get_job(made.job_id, later.updated_at) == later


def test_what_was_never_written_is_not_there(store: JobStore) -> None:
    assert store.get_job("ipp-none", NOW) is None
    assert everything(store) == []
    assert store.list_unfinished(owner=None, limit=10, now=NOW) == []
    assert not store.replace_job(replace(build_job("ipp-none"), version=2))
    assert store.get_job("ipp-none", NOW) is None


def test_of_two_that_create_the_first_stays(store: JobStore) -> None:
    first = build_job("ipp-1")
    assert store.create_job(first, NOW)
    assert not store.create_job(build_job("ipp-1", sub="eva"), NOW)
    assert store.get_job("ipp-1", NOW) == first


@pytest.mark.parametrize("version", [1, 2, 3, 5])
def test_a_version_that_does_not_follow_changes_nothing(store: JobStore, version: int) -> None:
    store.create_job(replace(build_job("ipp-1"), version=2), NOW)
    assert store.replace_job(stored := replace(build_job("ipp-1"), version=3))
    assert not store.replace_job(replace(stored, version=version, status=JobStatus.FAILED))
    assert store.get_job("ipp-1", NOW) == stored
    assert everything(store) == store.list_unfinished(owner="ana", limit=9, now=NOW) == [stored]


def test_of_many_that_replace_at_once_one_does(store: JobStore) -> None:
    for round_ in range(3):
        stored = build_job(f"ipp-{round_}")
        store.create_job(stored, NOW)
        rivals = [
            replace(stored.transition(NOW), fingerprint=f"rival {place}")
            for place in range(THREADS)
        ]
        answers = at_once([partial(store.replace_job, rival) for rival in rivals])
        assert answers.count(True) == 1
        assert store.get_job(stored.job_id, NOW) == rivals[answers.index(True)]


def test_of_many_that_create_at_once_one_does(store: JobStore) -> None:
    rivals = [replace(build_job("ipp-1"), fingerprint=f"rival {place}") for place in range(THREADS)]
    answers = at_once([partial(store.create_job, rival, NOW) for rival in rivals])
    assert answers.count(True) == 1
    assert store.get_job("ipp-1", NOW) == rivals[answers.index(True)]


def test_threads_that_read_write_and_try_again_lose_no_change(store: JobStore) -> None:
    store.create_job(build_job("ipp-1"), NOW)

    def count_to(times: int) -> bool:
        while times:
            times -= store.replace_job(count_job(store))
        return True

    at_once([lambda: count_to(8)] * 4)
    assert read_count(store) == 32


@pytest.mark.parametrize("status", [JobStatus.PROCESSING, JobStatus.CANCELLED])
@pytest.mark.parametrize("offset", [0 * MS, 1 * MS, 999 * MS])
def test_a_job_is_not_there_from_the_moment_it_expires(
    store: JobStore, offset: dt.timedelta, status: JobStatus
) -> None:
    over = build_job("ipp-1", created_at=NOW + offset, status=status)
    store.create_job(over, NOW)
    before, then = over.expires_at - MS, over.expires_at
    assert store.get_job("ipp-1", before) == over
    assert everything(store, before) == [over]
    unfinished = [] if status.ended else [over]
    assert store.list_unfinished(owner="ana", limit=1, now=before) == unfinished
    assert not store.create_job(over, before)
    assert store.get_job("ipp-1", then) is None
    assert everything(store, then) == []
    assert store.list_unfinished(owner=None, limit=1, now=then) == []
    assert store.list_unfinished(owner="ana", limit=1, now=then) == []


def test_an_id_is_free_again_once_its_job_expired(store: JobStore) -> None:
    over = replace(build_job("ipp-1"), version=7)
    store.create_job(over, NOW)
    again = build_job("ipp-1", sub="eva", created_at=over.expires_at)
    assert store.create_job(again, over.expires_at)
    assert store.get_job("ipp-1", over.expires_at) == again
    assert store.list_jobs(owner="ana", status=None, limit=9, after=None, now=NOW) == []
    assert everything(store, over.expires_at) == [again]


def test_a_key_names_its_job_for_as_long_as_that_is_there(store: JobStore) -> None:
    assert store.find_job("key", NOW) is None
    assert store.claim_key("key", "ipp-1", NOW) == "ipp-1"
    assert store.find_job("key", NOW) is None
    store.create_job(first := build_job("ipp-1"), NOW)
    assert store.find_job("key", NOW) == first
    assert store.claim_key("key", "ipp-2", NOW) == "ipp-1"
    store.replace_job(first := first.transition(NOW + RETENTION - MS))
    late = first.expires_at - MS  # almost two weeks after the claim
    assert store.claim_key("key", "ipp-2", late) == "ipp-1"
    assert store.find_job("key", late) == first


def test_a_key_whose_job_was_forgotten_names_another(store: JobStore) -> None:
    store.claim_key("key", "ipp-1", NOW)
    store.create_job(over := build_job("ipp-1"), NOW)
    then = over.expires_at
    assert store.find_job("key", then) is None
    assert store.claim_key("key", "ipp-2", then) == "ipp-2"
    store.create_job(again := build_job("ipp-2", created_at=then), then)
    assert store.find_job("key", then) == again
    assert everything(store, then) == [again]


def test_a_key_whose_job_was_not_stored_yet_keeps_its_id_for_whoever_tries_again(
    store: JobStore,
) -> None:
    store.claim_key("key", "ipp-1", NOW)
    assert store.claim_key("key", "ipp-2", NOW + KEY_CLAIM_RETENTION - MS) == "ipp-1"
    assert store.claim_key("key", "ipp-2", NOW + KEY_CLAIM_RETENTION) == "ipp-2"


def test_keys_know_nothing_of_each_other_and_are_in_no_list(store: JobStore) -> None:
    keys = {f"key-{number}": f"ipp-{number}" for number in range(3)}
    for key, job_id in keys.items():
        assert store.claim_key(key, job_id, NOW) == job_id
    assert [store.claim_key(key, "ipp-9", NOW) for key in keys] == list(keys.values())
    assert everything(store) == store.list_unfinished(owner=None, limit=9, now=NOW) == []
    assert [store.get_job(name, NOW) for name in ("key-0", "key#key-0", "ipp-0")] == [None] * 3


@pytest.mark.parametrize("forgotten", [False, True])
def test_of_many_that_claim_a_key_at_once_all_are_given_one_id(
    store: JobStore, forgotten: bool
) -> None:
    now = NOW
    if forgotten:
        store.claim_key("key", "ipp-over", now)
        store.create_job(over := build_job("ipp-over"), now)
        now = over.expires_at
    given: list[str] = []

    def claim(job_id: str) -> bool:
        given.append(store.claim_key("key", job_id, now))
        return True

    at_once([partial(claim, f"ipp-{place}") for place in range(THREADS)])
    assert len(given) == THREADS
    assert len(set(given)) == 1
    assert given[0] != "ipp-over"


def test_a_change_keeps_a_job_for_as_long_again(store: JobStore) -> None:
    store.create_job(build_job("ipp-1"), NOW)
    over = build_job("ipp-1").transition(NOW + RETENTION / 2, JobStatus.FAILED)
    store.replace_job(over)
    assert store.get_job("ipp-1", NOW + RETENTION) == over
    assert store.get_job("ipp-1", NOW + RETENTION * 1.5) is None


@pytest.mark.parametrize("off", [RETENTION, RETENTION * 12])
def test_a_job_goes_on_after_its_machine_was_off(store: JobStore, off: dt.timedelta) -> None:
    store.claim_key("key", "ipp-1", NOW)
    store.create_job(waiting := build_job("ipp-1"), NOW)
    store.create_job(build_job("ipp-2", status=JobStatus.COMPLETED), NOW)
    then = NOW + off
    store.create_job(build_job("ipp-3", created_at=then), then)
    assert [job.job_id for job in everything(store, then)] == ["ipp-3", "ipp-1"]
    assert store.list_unfinished(owner="ana", limit=1, now=then) == [waiting]
    assert store.count_by_status(then)[JobStatus.JOB1_RUNNING] == 2
    assert store.claim_key("key", "ipp-9", then) == "ipp-1"
    store.replace_job(ended := waiting.transition(then, JobStatus.FAILED))
    assert store.get_job("ipp-1", then + RETENTION - MS) == ended
    assert store.get_job("ipp-1", then + RETENTION) is None


@pytest.mark.parametrize("hours_off", [-23, -3, 3, 23])
def test_a_clock_that_is_hours_off_loses_nothing(store: JobStore, hours_off: int) -> None:
    moved = dt.timedelta(hours=hours_off)
    assert abs(moved) < CLOCK_MARGIN
    made = []
    statuses = (JobStatus.PROCESSING, JobStatus.COMPLETED)
    for number, (status, hours) in enumerate(itertools.product(statuses, (146, 167, 168, 190))):
        born = NOW - dt.timedelta(hours=hours)
        made.append(build_job(f"ipp-{number}", status=status, created_at=born))
        store.claim_key(f"key-{number}", made[-1].job_id, born)
        assert store.create_job(made[-1], born)
    store.claim_key("other", "ipp-other", NOW + moved)
    assert store.create_job(build_job("ipp-other", created_at=NOW + moved), NOW + moved)
    alive = [job for job in made if job.expires_at > NOW]
    for number, job in enumerate(made):
        assert store.get_job(job.job_id, NOW) == (job if job in alive else None)
        assert store.find_job(f"key-{number}", NOW) == (job if job in alive else None)
    assert {job.job_id for job in everything(store)} == {"ipp-other", *(j.job_id for j in alive)}


@settings(max_examples=25)
@given(
    crowd=job_crowds(14),
    limit=st.integers(1, 6),
    owner=st.sampled_from([None, *OWNERS]),
    data=st.data(),
)
def test_pages_are_the_list_newest_first_each_job_once(
    new: New, crowd: list[Job], limit: int, owner: str | None, data: st.DataObject
) -> None:
    status = data.draw(st.sampled_from([None, *sorted({made.status for made in crowd})]))
    store = filled(new, crowd)
    expected = sorted(
        (
            j
            for j in crowd
            if j.expires_at > NOW and owner in {None, j.user.sub} and status in {None, j.status}
        ),
        key=lambda j: (j.created_at, j.job_id),
        reverse=True,
    )
    seen: list[Job] = []
    page = store.list_jobs(owner=owner, status=status, limit=limit, after=None, now=NOW)
    while page:
        assert len(page) == min(limit, len(expected) - len(seen))
        seen += page
        page = store.list_jobs(
            owner=owner, status=status, limit=limit, after=place(seen[-1]), now=NOW
        )
    assert seen == expected


@settings(max_examples=25)
@given(crowd=job_crowds(14), limit=st.integers(0, 15), owner=st.sampled_from([None, *OWNERS]))
def test_the_unfinished_are_those_not_ended_changed_longest_ago_first(
    new: New, crowd: list[Job], limit: int, owner: str | None
) -> None:
    alive = [
        j
        for j in crowd
        if j.expires_at > NOW and not j.status.ended and owner in {None, j.user.sub}
    ]
    expected = sorted(alive, key=lambda j: (j.updated_at, j.job_id))[:limit]
    assert filled(new, crowd).list_unfinished(owner=owner, limit=limit, now=NOW) == expected


@settings(max_examples=25)
@given(crowd=job_crowds(14))
def test_the_standing_count_each_job_that_has_not_ended_once(new: New, crowd: list[Job]) -> None:
    alive = [j.status for j in crowd if j.expires_at > NOW]
    expected = {status: alive.count(status) for status in JobStatus if not status.ended}
    assert filled(new, crowd).count_by_status(NOW) == expected


def test_a_job_that_ended_is_no_longer_unfinished(store: JobStore) -> None:
    store.create_job(build_job("ipp-1"), NOW)
    store.create_job(other := build_job("ipp-2"), NOW)
    store.replace_job(ended := build_job("ipp-1").transition(NOW, JobStatus.FAILED))
    for owner in (None, "ana"):
        assert store.list_unfinished(owner=owner, limit=9, now=NOW) == [other]
        assert store.list_jobs(
            owner=owner, status=JobStatus.FAILED, limit=9, after=None, now=NOW
        ) == [ended]


def test_a_place_where_no_job_is_is_a_place(store: JobStore) -> None:
    store.create_job(one := build_job("ipp-1"), NOW)
    assert store.list_jobs(
        owner="ana", status=None, limit=9, after=JobCursor(NOW, "ipp-2"), now=NOW
    ) == [one]
    assert (
        store.list_jobs(owner="ana", status=None, limit=9, after=JobCursor(NOW, "ipp-0"), now=NOW)
        == []
    )


def filled(new: New, crowd: list[Job]) -> JobStore:
    store = new()
    for made in crowd:
        assert store.create_job(made, NOW)
    return store


def place(last: Job) -> JobCursor:
    return JobCursor(last.created_at, last.job_id)
