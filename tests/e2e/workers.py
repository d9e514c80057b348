"""Workers and stages in processes of their own, over one file of runs, for tests that kill them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipp.jobs.engines.engine import RunState
from ipp.jobs.engines.local_engine import LocalEngine
from tests.waiting import is_alive, wait_until

WORKER = """
import os, signal, sys, threading
from pathlib import Path
from ipp.jobs.engines import stage_worker
from ipp.jobs.engines.stage_worker import StageWorker

stage_worker._SHUTDOWN_WINDOW_SECONDS = float(
    os.environ.get("TOGETHER_SECONDS", stage_worker._SHUTDOWN_WINDOW_SECONDS)
)
stage_worker._WAIT_PAUSE_SECONDS = 0.02
stage_worker.MOST_WAITS = int(os.environ.get("MOST_WAITS", stage_worker.MOST_WAITS))
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
StageWorker(Path(sys.argv[1]), sys.argv[2:], silence=2.0, beat=0.1, poll=0.02).run_until(stop)
"""

STAGE = """
import sys
from ipp.jobs.engines.child_process import die_with_parent

die_with_parent()
import fcntl, os, subprocess, time
from pathlib import Path

folder, stage, job_id, *_ = Path(sys.argv[1]), *sys.argv[2:]

def note(*words):
    with (folder / f"{job_id}.log").open("a") as log:
        log.write(" ".join(map(str, words)) + "\\n")

alone = (folder / f"{job_id}.lock").open("a")
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    note("overlap")
if stage == "full" and not (folder / "go").exists():
    note("refused", os.getpid())
    sys.stderr.write("Error: el disco está lleno.\\n")
    sys.exit(75)
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(900)"])
note("began", os.getpid(), child.pid)
if stage == "deaf":
    pow(7, 40_000_000)  # one call that lets no other thread run
while stage == "waits" and not (folder / "go").exists():
    time.sleep(0.01)
child.kill()
note("ended", os.getpid())
"""
"""A stage that notes what it does.

``waits`` runs until there is a file ``go``; ``full`` has no room until then; ``deaf`` runs long in
any case.
"""

SUBMITTER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ipp.jobs.engines.local_engine import LocalEngine

engine = LocalEngine(Path(sys.argv[1]))
sys.stdin.readline()
with ThreadPoolExecutor(8) as pool:
    print(*set(pool.map(lambda _: engine.submit_stage("factor", "ipp-1", "token-1"), range(24))))
"""

WRITER = """
import sys
from pathlib import Path
from ipp.jobs.engines.local_engine import LocalEngine

engine = LocalEngine(Path(sys.argv[1]))
for number in range(1_000_000):
    print(engine.submit_stage("factor", "ipp-1", f"{sys.argv[2]}-{number}"), flush=True)
"""


@dataclass
class Place:
    """A folder with a file of runs, and the processes that a test started there."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "runs.sqlite"

    @property
    def engine(self) -> LocalEngine:
        return LocalEngine(self.file)

    def start(self, script: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env=os.environ | environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self, **environment: str) -> subprocess.Popen[str]:
        return self.start(
            WORKER, self.file, sys.executable, "-c", STAGE, self.folder, **environment
        )

    def submit(self, stage: str = "waits", job_id: str = "ipp-1") -> str:
        return self.engine.submit_stage(stage, job_id, f"token-{job_id}")

    def go(self) -> None:
        (self.folder / "go").touch()

    def log(self, word: str, job_id: str = "ipp-1") -> list[list[int]]:
        """The lines of a run's log that begin with a word: the numbers after it."""
        log = self.folder / f"{job_id}.log"
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return [[int(number) for number in numbers] for first, *numbers in lines if first == word]

    def began(self, times: int = 1) -> list[int]:
        """The processes of a stage and its child once it has begun so many times."""
        return wait_until(lambda: self.log("began"), lambda lines: len(lines) == times)[-1]

    def ended(self, run_id: str) -> RunState:
        return wait_until(
            lambda: self.engine.run_state(run_id), lambda state: state.state == "TERMINATED"
        )

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as db:
            return db.execute(query).fetchall()


def wait_until_gone(pids: list[int]) -> None:
    wait_until(lambda: [pid for pid in pids if is_alive(pid)], lambda left: not left)
