"""Ctrl-C that comes while a library calls back: swallowed there, unheard, and not lost."""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections.abc import Callable

import pytest

from ipp import console


class Thing:
    """What one may wait for the end of."""


def called_back(call: Callable[[object], object]) -> None:
    """Call ``call`` as libraries do when an object of theirs is freed: its errors are swallowed."""
    thing = Thing()
    kept = weakref.ref(thing, call)
    del thing
    assert kept() is None


def test_an_interrupt_within_a_callback_is_unheard_and_ends_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: heard.append(lost.exc_type))
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt), console.progress_reporter() as report:
        report("normalizador", 0, 2)
        called_back(lambda _: os.kill(os.getpid(), signal.SIGINT))
        reached.append("after the callback")
        called_back(lambda _: 1 / 0)
        report("normalizador", 1, 2)
        reached.append("after the report")
    assert reached == ["after the callback"]
    assert heard == [ZeroDivisionError]
    called_back(lambda _: 1 / 0)
    assert heard == [ZeroDivisionError] * 2
