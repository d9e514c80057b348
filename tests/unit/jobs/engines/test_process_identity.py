"""Only the process that was named is ended, with its group, even if it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ipp.jobs.engines.process_identity import _identity, end_process, own_identity
from tests.waiting import is_alive, wait_until

LEADER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(900)"])
print(child.pid, flush=True)
child.wait()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="identities come from /proc")


@pytest.fixture
def leader() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that leads a group, and the number of its child."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LEADER],
        stdout=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_stopped_process_ends_with_its_group(leader: tuple[subprocess.Popen[str], int]) -> None:
    process, child = leader
    identity = _identity(process.pid)
    for pid in (process.pid, child):
        os.kill(pid, signal.SIGSTOP)
    end_process(identity)
    assert not is_alive(process.pid)
    wait_until(lambda: is_alive(child), lambda alive: not alive)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("field", range(4))
def test_a_process_that_has_the_number_of_another_is_left_alone(
    leader: tuple[subprocess.Popen[str], int], field: int
) -> None:
    """It is of another boot or container, has another number, or started at another moment."""
    process, _ = leader
    parts = _identity(process.pid).split(":")
    parts[field] += "1"
    end_process(":".join(parts))
    assert is_alive(process.pid)


@pytest.mark.parametrize("identity", ["", ":", "a:b:c:d", "::::", "1"])
def test_what_names_no_process_ends_none(identity: str) -> None:
    end_process(identity)
    assert is_alive(os.getpid())
    assert own_identity() == _identity(os.getpid()) != ""
