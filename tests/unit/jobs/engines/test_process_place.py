"""A process's number says something only where it counts: on one host, in one PID namespace."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ipp.jobs.engines.process_identity import process_place
from ipp.jobs.engines.run_table import new_worker_name

_PRINT_NAME = "from ipp.jobs.engines import run_table; print(run_table.new_worker_name())"


def print_name(*before: str) -> str:
    """Return the name of a worker that ``before`` starts."""
    command = [*before, sys.executable, "-c", _PRINT_NAME]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if before and ended.returncode:
        pytest.skip(f"no namespace of its own for a process here: {ended.stderr}")
    return ended.stdout


def test_two_processes_of_one_place_say_so() -> None:
    assert print_name().startswith(f"{process_place()}:")
    assert new_worker_name().startswith(f"{process_place()}:")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PID namespaces")
def test_a_container_with_the_hosts_name_is_another_place() -> None:
    """In the host's network it is called as the host is, and its numbers are its own."""
    name = print_name("unshare", "--map-root-user", "--pid", "--fork")
    assert name.count(":") == 2
    assert not name.startswith(f"{process_place()}:")
