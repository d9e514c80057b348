"""Loops of a process that must not end unnoticed: they are started again, or the process ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

_LOG: Final = logging.getLogger("ipp.jobs")

MAX_FAILURES: Final = 10
"""Failures in a row after which starting a loop again is no use."""

_HEALTHY_SECONDS: Final = 60.0
"""A loop that ran for so long before it failed has not failed in a row."""

Loop = Callable[[threading.Event], None]
"""A loop that runs until the event is set."""


class SupervisedLoop:
    """Runs ``loop`` until ``stop`` is set, again after whatever it raises, with a pause.

    If it fails `MAX_FAILURES` times in a row, ``failed`` is set and ``give_up`` is called, once,
    from the thread of the loop; so it is if the loop ends in any other way.
    """

    def __init__(
        self,
        name: str,
        loop: Loop,
        stop: threading.Event,
        give_up: Callable[[], None],
        *,
        pause: float = 1.0,
    ) -> None:
        self.failed = threading.Event()
        self._name = name
        self._loop = loop
        self._stop = stop
        self._give_up = give_up
        self._pause = pause

    def start(self) -> threading.Thread:
        """Run in a thread of its own, which is returned."""
        thread = threading.Thread(target=self.run, name=self._name, daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Run in this thread."""
        try:
            self._run_again_and_again()
        finally:
            if not self._stop.is_set():
                self.failed.set()
                _LOG.critical("%s failed for good; this process ends", self._name)
                self._give_up()

    def _run_again_and_again(self) -> None:
        failures = 0
        while not self._stop.is_set() and failures < MAX_FAILURES:
            began = time.monotonic()
            try:
                self._loop(self._stop)
            except BaseException:  # A library's panic is no Exception.
                _LOG.exception("%s failed; it is started again", self._name)
            failures = 1 if time.monotonic() - began > _HEALTHY_SECONDS else failures + 1
            self._stop.wait(self._pause)
