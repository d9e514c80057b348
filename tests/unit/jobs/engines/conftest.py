"""Processes of workers, for tests of what is theirs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def ended_process() -> int:
    """The id that a process had; hardly any other has it so soon."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    process.wait()
    return process.pid
