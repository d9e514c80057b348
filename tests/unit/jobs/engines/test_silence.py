"""A worker is dead by what is seen of it, not by what clocks say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipp.jobs.engines.silence import SilenceObserver

PATIENCE = 10.0


class Watch:
    """A monotonic clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    gaps=st.lists(st.floats(0.0, 2.0), max_size=40),
    signs=st.lists(st.floats(-1e9, 1e9), max_size=40),
)
def test_a_worker_is_silent_exactly_when_its_sign_stood_still_for_so_long(
    gaps: list[float], signs: list[float]
) -> None:
    """Whatever its signs are: the times of a clock that jumps, or numbers."""
    watch = Watch()
    observer = SilenceObserver(PATIENCE, watch)
    since, last = 0.0, None
    for gap, sign in zip(gaps, signs, strict=False):
        watch.now += gap
        observer.observe({"run": sign})
        if sign != last:
            since, last = watch.now, sign
        if abs(watch.now - since - PATIENCE) > 1e-6:
            assert observer.is_silent("run") == (watch.now - since > PATIENCE)


@given(sleeps=st.lists(st.floats(3.0, 1e6), min_size=1, max_size=5))
def test_who_slept_does_not_count_its_sleep_as_the_silence_of_others(sleeps: list[float]) -> None:
    watch = Watch()
    observer = SilenceObserver(PATIENCE, watch)
    observer.observe({"run": 1.0})
    for sleep in sleeps[:4]:
        watch.now += sleep
        observer.observe({"run": 1.0})
        assert not observer.is_silent("run")


def test_a_worker_that_beats_again_is_not_silent_and_an_unseen_one_never_is() -> None:
    watch = Watch()
    observer = SilenceObserver(PATIENCE, watch)
    for _ in range(13):
        observer.observe({"run": 1.0})
        watch.now += 1.0
    assert observer.is_silent("run")
    observer.observe({"run": 2.0})
    assert not observer.is_silent("run")
    assert not observer.is_silent("another")
