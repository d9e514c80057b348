"""Three servers and a worker over one home, and the bad days of the machine they run on."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.e2e.command import IPP
from tests.e2e.server import FIRST, SECOND, Server, find_stages
from tests.waiting import PATIENCE_SECONDS, wait_until

EVILS: Final = (
    "kill server",
    "kill stage",
    "stop stage",
    "clock",
    "kill worker",
    "stop server",
    "full disk",
    "kill command",
    "stop command",
    "stop server and stage",
)
"""What may happen in a round."""

_HOME_BYTES: Final = 256 * 2**20
_FULL_SECONDS: Final = 8.0
_SERVERS: Final = 3
_JOBS_AT_ONCE: Final = 2
_CLOCK_HOURS: Final = (3, -3, 0)


@dataclass
class Machine:
    """A home with its processes; ``clock`` is the file by which their time is moved."""

    home: Path
    environment: dict[str, str]
    clock: Path
    generator: random.Random
    longest_stop: float
    servers: list[Server] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    commands: list[subprocess.Popen[bytes]] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    done: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        for _ in range(_SERVERS):
            self.servers.append(Server(self.home, self.environment))
            self.servers[-1].start()
        self.workers.append(self._popen("worker"))

    def play_round(self, number: int, evil: str) -> None:
        """Keep jobs under way, let one thing happen in the middle of them, and mend it."""
        self.keep_busy(by_command="command" in evil or number % 3 == 2)
        time.sleep(self.generator.uniform(0.0, 2.0))
        victims = self._victims(evil)
        if evil == "clock":
            self.set_clock(_CLOCK_HOURS[number % 3])
        elif evil == "full disk":
            self._fill_disk()
        elif evil.startswith("kill"):
            self._signal(victims, signal.SIGKILL)
        else:
            self._signal(victims, signal.SIGSTOP)
            time.sleep(self.generator.uniform(self.longest_stop / 3, self.longest_stop))
            self._signal(victims, signal.SIGCONT)
        self.done[evil] = self.done.get(evil, 0) + 1
        self.revive()

    def keep_busy(self, *, by_command: bool) -> None:
        """Start jobs until some are under way, over HTTP and perhaps by a command."""
        if by_command:
            self.commands.append(self._popen("run", "--mostradores", f"{FIRST},{SECOND}"))
        under_way = sum(job["progress"] not in {0, 100} for job in self.listed())
        for _ in range(_JOBS_AT_ONCE - under_way):
            self.begin()

    def begin(self) -> str:
        """Start a job over HTTP, asking with one key until somebody answers; return its id."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        body = {"mostradores": [FIRST, SECOND]}
        answer = self._ask("POST", "/ipp/start", 202, json=body, headers=headers)
        self.jobs.add(answer["job_id"])
        return str(answer["job_id"])

    def listed(self) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = self._ask("GET", "/ipp/jobs?limit=200", 200)["jobs"]
        return jobs

    def status(self, job_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/ipp/status/{job_id}", 200)

    def set_clock(self, hours: int) -> None:
        self.clock.write_bytes(struct.pack("q", hours * 3_600))

    def revive(self) -> None:
        """Start again what has ended, and let go on what was stopped."""
        for server in self.servers:
            if server.ended:
                server.start()
        if self.workers[-1].poll() is not None:
            self.workers.append(self._popen("worker"))

    def close(self) -> None:
        for server in self.servers:
            if not server.ended:
                server.kill()
        for process in (*self.workers, *self.commands):
            process.kill()
            process.wait()
        for pid in find_stages(self.home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _victims(self, evil: str) -> list[int]:
        """Return the processes that something happens to; wait for a stage if it needs one."""
        chosen = []
        server = self.generator.choice(self.servers)
        if "stage" in evil:
            stages = wait_until(self._stages_or_more, bool, seconds=PATIENCE_SECONDS)
            chosen = [self.generator.choice(sorted(stages))]
            parents = {one.pid: one for one in self.servers}
            server = parents.get(stages[chosen[0]], server)
        if "server" in evil:
            chosen.append(server.pid)
        if "worker" in evil:
            chosen.append(self.workers[-1].pid)
        if "command" in evil:
            chosen.append(self.commands[-1].pid)
        return chosen

    def _stages_or_more(self) -> dict[int, int]:
        """Return the stages that run, with their parents; start jobs while there are none."""
        stages = {pid: seen.parent for pid, seen in find_stages(self.home).items()}
        if not stages:
            self.keep_busy(by_command=False)
        return stages

    def _signal(self, victims: list[int], number: signal.Signals) -> None:
        for pid in victims:
            with suppress(ProcessLookupError):  # It may have ended on its own.
                os.kill(pid, number)
        if number is signal.SIGKILL:
            for server in self.servers:
                if server.pid in victims:
                    server.kill()

    def _fill_disk(self) -> None:
        """Leave no room on the disk for some seconds, or, without a disk to fill, for any file."""
        if os.path.ismount(self.home.parent):
            filler = self.home.parent / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(bytes(2**16)):
                    pass
            time.sleep(_FULL_SECONDS)
            filler.unlink()
            return
        limit = resource.RLIMIT_FSIZE
        self._limit_files(limit, 0)
        time.sleep(_FULL_SECONDS)
        self._limit_files(limit, resource.RLIM_INFINITY)

    def _limit_files(self, limit: int, size: int) -> None:
        mine = [server.pid for server in self.servers]
        mine += [process.pid for process in (*self.workers, *self.commands)]
        for pid in (*mine, *find_stages(self.home)):
            with suppress(ProcessLookupError):
                resource.prlimit(pid, limit, (size, resource.RLIM_INFINITY))

    def _popen(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.servers[0].log.open("a") as log:
            return subprocess.Popen(
                [*IPP, *arguments],
                env=os.environ | self.environment | {"IPP_HOME": str(self.home)},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _ask(self, method: str, path: str, expected: int, **more: Any) -> dict[str, Any]:
        """Ask one server after the other until one answers as it should."""

        def ask() -> dict[str, Any] | None:
            server = self.generator.choice(self.servers)
            try:
                answer = httpx2.request(method, f"{server.address}{path}", timeout=20.0, **more)
            except httpx2.TransportError:
                self.revive()
                return None
            assert answer.status_code == expected or answer.status_code >= 500, answer.text
            return dict(answer.json()) if answer.status_code == expected else None

        found = wait_until(ask, lambda answer: answer is not None)
        assert found is not None
        return found


@contextmanager
def run_machine(
    chain: Path, folder: Path, *, seed: int, longest_stop: float, preload: Path
) -> Iterator[Machine]:
    """Run a machine over a copy of the chain, on a small disk of its own where one can be had."""
    disk, clock = folder / "disk", folder / "clock"
    disk.mkdir()
    clock.write_bytes(bytes(8))
    unmount = mount_disk(disk, _HOME_BYTES)
    environment = {"LD_PRELOAD": str(preload), "CHAOS_CLOCK": str(clock), "IPP_MAX_JOBS": "1000"}
    machine = Machine(disk / "home", environment, clock, random.Random(seed), longest_stop)
    try:
        shutil.copytree(chain, machine.home)
        machine.start()
        yield machine
    finally:
        machine.close()
        unmount()


def mount_disk(folder: Path, size: int) -> Callable[[], object]:
    """Mount a disk of ``size`` bytes in memory if we may; return what unmounts it."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        return lambda: None
    return lambda: subprocess.run(["umount", "-l", str(folder)], check=True)


def build_clock(folder: Path) -> Path:
    """Compile the library that moves the clock of whoever loads it."""
    library = folder / "chaos.so"
    source = Path(__file__).with_name("chaos.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
