"""A real server in a process of its own, for tests that cross it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.e2e.command import IPP
from tests.waiting import PATIENCE_SECONDS

FIRST, SECOND = "7051602", "7051603"
"""Two mostradores of the sample."""


class Server:
    """``ipp serve`` on a free port over ``home``; `kill` and `start` again as often as one likes.

    ``environment`` is added to our own, ``options`` to the command of ``program``.
    """

    def __init__(
        self,
        home: Path,
        environment: Mapping[str, str],
        *options: str,
        program: Sequence[str] = IPP,
    ) -> None:
        self.home = home
        self._program = program
        self._options = options
        self._environment = {**environment, "IPP_HOME": str(home), "PYTHONUNBUFFERED": "1"}
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it wrote to stderr, over all its lives."""
        return self.home.with_suffix(".log")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it was ended, or has ended on its own."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start, on the same port where there was one, and wait until it answers."""
        if self._process is not None and self._process.stdout is not None:  # It ended on its own.
            self._process.stdout.close()
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._program, "serve", "--port", str(self.port), *self._options],
                env=os.environ | self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("IPP en http://"), (line, self.log.read_text()[-2000:])
        self.port = int(line.split("127.0.0.1:")[1].split()[0])
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            try:
                if httpx2.get(f"{self.address}/healthz").status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def read_line(self) -> str:
        """Wait for the next line that it writes to stdout."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def kill(self) -> None:
        """End it at once, as the machine might."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        return self._end(signal.SIGINT)

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(timeout=PATIENCE_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return status


@contextmanager
def run_server(home: Path, **environment: str) -> Iterator[Server]:
    """Run a server while the block lasts."""
    server = Server(home, environment)
    server.start()
    try:
        yield server
    finally:
        if server._process is not None:
            server.stop()


def wait_for_end(
    client: httpx2.Client, job_id: str, *, seconds: float = PATIENCE_SECONDS
) -> dict[str, Any]:
    """Poll until the job ends; return its last status."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        status: dict[str, Any] = client.get(f"/ipp/status/{job_id}").json()
        if status["status"] in {"COMPLETED", "FAILED", "CANCELLED"}:
            return status
        time.sleep(0.2)
    raise AssertionError(f"{job_id} did not end: {status}")


class StageSeen(NamedTuple):
    """A process that runs a stage."""

    parent: int
    stage: str
    job_id: str


def find_stages(home: Path) -> dict[int, StageSeen]:
    """Find the processes that run a stage over ``home``."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, IndexError):
                ours = f"IPP_HOME={home}\0".encode() in (entry / "environ").read_bytes()
                words = (entry / "cmdline").read_text().split("\0")
                if ours and "ipp.entrypoints.stage" in words:
                    parent = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
                    stage, job_id = words[words.index("ipp.entrypoints.stage") + 1 :][:2]
                    found[int(entry.name)] = StageSeen(parent, stage, job_id)
    return found
