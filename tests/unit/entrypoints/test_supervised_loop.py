"""A loop that ends is started again, or ends its process: never silently neither."""

from __future__ import annotations

import logging
import threading

import pytest

from ipp.entrypoints.supervised_loop import MAX_FAILURES, SupervisedLoop
from tests.waiting import PATIENCE_SECONDS


class Panic(BaseException):
    """What a library written in Rust raises: no Exception."""


ENDS = [
    RuntimeError("can't start new thread"),
    OSError("sleep"),
    Panic("index"),
    MemoryError(),
    None,
]
"""How a loop ends before it is told to; None where it just returns."""


@pytest.mark.parametrize("end", ENDS, ids=repr)
@pytest.mark.parametrize("times", [1, MAX_FAILURES - 1])
def test_a_loop_that_ends_early_is_started_again(end: BaseException | None, times: int) -> None:
    stop, gave_up, runs = threading.Event(), threading.Event(), list[int]()

    def loop(stopped: threading.Event) -> None:
        runs.append(len(runs))
        if len(runs) > times:
            stopped.set()
        elif end is not None:
            raise end

    supervised = SupervisedLoop("loop", loop, stop, gave_up.set, pause=0.0)
    supervised.start().join(PATIENCE_SECONDS)
    assert len(runs) == times + 1
    assert not gave_up.is_set()
    assert not supervised.failed.is_set()


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_a_loop_that_never_runs_ends_its_process(
    end: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    stop, gave_up, runs = threading.Event(), threading.Event(), list[int]()

    def loop(_stopped: threading.Event) -> None:
        runs.append(len(runs))
        if end is not None:
            raise end

    with caplog.at_level(logging.CRITICAL):
        supervised = SupervisedLoop("loop", loop, stop, gave_up.set, pause=0.0)
        supervised.start().join(PATIENCE_SECONDS)
    assert len(runs) == MAX_FAILURES
    assert gave_up.is_set()
    assert supervised.failed.is_set()
    assert "loop failed for good; this process ends" in caplog.text
