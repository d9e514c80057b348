"""`ipp serve` under constant starts, polls, cancels and downloads: are jobs lost, does memory grow?

    python bench/soak.py [MINUTES]

Ten minutes unless told otherwise, after one that is not measured: allocators, pools of threads
and of connections fill up in it. The server and its worker are one real process over a made-up
chain, each stage another; users on loopback start jobs and, while they wait, read, download, hang
up half way and ask what is wrong. What jobs leave on disk grows by design, for seven days; memory
and open files are what must not. Needs Linux, whose /proc is read. The exit status is 1 where
something is missed: these are verdicts on leaks, and none of them is on time.
"""

from __future__ import annotations

import io
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx2
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.server import Server, run_server

from ipp.core.tables import RESULTS
from ipp.jobs.job import JobStatus, Stage
from measure import IPP, print_figure, run_process

USERS, COUNTERS, PRODUCTS, DAYS = 4, 4, 200, 120
WARM_UP_SECONDS = 60.0
PATIENCE_SECONDS = 300.0
"""How long a user waits for one job: at most four are queued before it, a few seconds each."""
FLAT_RATIO = 1.05
"""What the last third may be of the first."""
LOOK_SECONDS = 0.25
"""Between two looks at the processes: a stage lives for one or two."""

ENDED: Final = frozenset(status.value for status in JobStatus if status.ended)
BAD: Final[Sequence[tuple[str, str, bytes, int]]] = (
    ("POST", "/ipp/start", b'{"mostradores": [1]', 400),
    ("POST", "/ipp/start", b'{"mostradores": ["abc"]}', 400),
    ("POST", "/ipp/start", b'{"mostradores": [9]}', 422),
    ("POST", "/ipp/start", b'{"mostradores": ["' + b"1" * (2 << 20) + b'"]}', 413),
    ("GET", "/ipp/status/ipp-nada", b"", 404),
    ("GET", "/ipp/results/ipp-nada/download?format=xlsx", b"", 404),
    ("GET", "/ipp/jobs?cursor=abc", b"", 400),
    ("DELETE", "/ipp/start", b"", 405),
)


@dataclass
class Started:
    """A job as the user knows it who started it."""

    job_id: str
    rows: int
    cancelled: bool = False
    status: str = ""

    @property
    def as_it_should(self) -> bool:
        """Whether the job ended as requested: results published before a cancellation stay."""
        return self.status == "COMPLETED" or (self.cancelled and self.status == "CANCELLED")


@dataclass
class Ledger:
    """What all users saw; each only appends. A request that was broken off answers 0."""

    answers: list[int] = field(default_factory=list)
    jobs: list[Started] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


class User(threading.Thread):
    """Start one job after another until ``until``, acting as people do while each of them runs."""

    def __init__(
        self, number: int, server: Server, counters: Sequence[str], ledger: Ledger, until: float
    ) -> None:
        super().__init__(name=f"user-{number}")
        self._chance = random.Random(number)
        self._port = server.port
        self._counters = counters
        self._ledger = ledger
        self._until = until
        # Idle connections are closed sooner than the server closes them: a request written just as
        # the other end closes gets no answer.
        limits = httpx2.Limits(keepalive_expiry=2.0)
        self._client = httpx2.Client(
            base_url=server.address, trust_env=False, timeout=60.0, limits=limits
        )
        seldom: list[Callable[[], None]] = [self._list, self._hang_up, self._ask_wrongly]
        self._habits = [*2 * seldom, *3 * [self._read], *4 * [self._download]]

    def run(self) -> None:
        with self._client:
            while time.monotonic() < self._until:
                try:
                    self._one_job()
                except Exception as error:  # it is told at the end, and the next job is due
                    self._ledger.unexpected.append(f"{type(error).__name__}: {error}")
                    time.sleep(1.0)

    def _one_job(self) -> None:
        job = self._start()
        begun = time.monotonic()
        doubt = begun + self._chance.choice([0.1, 1.0, 10.0] + 7 * [float("inf")])
        if doubt == float("inf") and self._chance.random() < 0.4:
            self._follow(job)
        while job.status not in ENDED and time.monotonic() < begun + PATIENCE_SECONDS:
            time.sleep(self._chance.uniform(0.05, 0.4))
            if time.monotonic() > doubt:
                doubt = float("inf")
                self._cancel(job)
            self._chance.choice(self._habits)()
            job.status = self._ask(f"/ipp/status/{job.job_id}").json()["status"]
        if job.status == "COMPLETED":
            self._look_at(job)

    def _start(self) -> Started:
        chosen = self._chance.sample(self._counters, self._chance.randint(1, len(self._counters)))
        key = {"Idempotency-Key": f"{self._chance.getrandbits(128):x}"}
        asked: Mapping[str, Any] = {"json": {"mostradores": chosen}, "headers": key}
        job_id = self._ask("/ipp/start", 202, method="POST", **asked).json()["job_id"]
        job = Started(job_id, PRODUCTS * len(chosen))
        self._ledger.jobs.append(job)
        if self._chance.random() < 0.2:
            again = self._ask("/ipp/start", 202, method="POST", **asked).json()["job_id"]
            self._check(again == job_id, f"one key gave {job_id} and {again}")
        return job

    def _cancel(self, job: Started) -> None:
        answer = self._ask(f"/ipp/jobs/{job.job_id}/cancel", 200, 409, method="POST")
        job.cancelled = answer.status_code == 200

    def _follow(self, job: Started) -> None:
        """Server-sent events to the job's end, or to the one at which the user goes away."""
        start, bored, told = time.monotonic(), self._chance.choice([1, 2, 1_000]), 0
        with self._client.stream("GET", f"/ipp/jobs/{job.job_id}/events") as stream:
            self._ledger.answers.append(stream.status_code)
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    job.status, told = json.loads(line[6:])["status"], told + 1
                if told == bored or time.monotonic() > start + PATIENCE_SECONDS:
                    break

    def _look_at(self, job: Started) -> None:
        """What came out, all of it."""
        summary = self._ask(f"/ipp/results/{job.job_id}").json()["summary"]
        self._check(summary["success"], f"{job.job_id} is completed and no success")
        total = self._ask(f"/ipp/results/{job.job_id}/rows?limit=1").json()["total"]
        self._check(total == job.rows, f"{job.job_id} has {total} rows of {job.rows}")
        for kind in ("csv", "xlsx", "parquet"):
            self._fetch(job, kind)

    def _list(self) -> None:
        if cursor := self._ask("/ipp/jobs?limit=20").json()["next_cursor"]:
            self._ask(f"/ipp/jobs?limit=20&cursor={cursor}")
        self._ask("/metrics")

    def _read(self) -> None:
        if (job := self._any()) is None:
            return
        path = f"/ipp/results/{job.job_id}"
        sort, text = self._chance.choice(list(RESULTS.names)), self._chance.choice(["", "a", "75"])
        asked = {"limit": "50", "sort": sort, "q": text}
        if cursor := self._ask(f"{path}/rows", params=asked).json()["next_cursor"]:
            self._ask(f"{path}/rows", params=asked | {"cursor": cursor})
        # Counters of the traditional model have no curve, and this user does not remember which
        # counters were in the job.
        self._ask(f"{path}/curve?mostrador={self._chance.choice(self._counters)}", 200, 404)

    def _download(self) -> None:
        if job := self._any():
            self._fetch(job, self._chance.choice(["csv", "xlsx", "parquet"]))

    def _fetch(self, job: Started, kind: str) -> None:
        body = self._ask(f"/ipp/results/{job.job_id}/download?format={kind}").content
        rows = count_rows(body, kind)
        self._check(rows == job.rows, f"{kind} of {job.job_id} has {rows} rows of {job.rows}")

    def _hang_up(self) -> None:
        """Go away before an answer has begun, within its body, or within one's own."""
        if (job := self._any()) is None:
            return
        host = f"HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        download = f"GET /ipp/results/{job.job_id}/download?format={{}} {host}\r\n"
        half = f"POST /ipp/start {host}Content-Length: 999\r\n\r\n{{"
        kind, heard = self._chance.choice([("csv", 2_000), ("xlsx", 0), ("parquet", 500), ("", 0)])
        said = download.format(kind) if kind else half
        with socket.socket() as line:
            # With a larger buffer, all of a body would fit on the way.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            line.settimeout(60.0)
            line.connect(("127.0.0.1", self._port))
            line.sendall(said.encode())
            while heard > 0 and (part := line.recv(heard)):
                heard -= len(part)
            time.sleep(self._chance.uniform(0.0, 0.2))
        self._ledger.answers.append(0)

    def _ask_wrongly(self) -> None:
        method, path, content, status = self._chance.choice(BAD)
        self._ask(path, status, method=method, content=content)

    def _any(self) -> Started | None:
        published = [job for job in self._ledger.jobs if job.status == "COMPLETED"]
        return self._chance.choice(published) if published else None

    def _ask(self, path: str, *expected: int, method: str = "GET", **rest: Any) -> httpx2.Response:
        answer = self._client.request(method, path, **rest)
        self._ledger.answers.append(answer.status_code)
        told = f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        self._check(answer.status_code in (expected or (200,)), told)
        return answer

    def _check(self, held: bool, otherwise: str) -> None:
        if not held:
            raise AssertionError(otherwise)


def count_rows(body: bytes, kind: str) -> int:
    """Return how many rows a download has."""
    if kind == "csv":
        return pl.read_csv(io.BytesIO(body), infer_schema=False).height
    if kind == "xlsx":
        return pl.read_excel(io.BytesIO(body), infer_schema_length=0).height
    return pl.read_parquet(io.BytesIO(body)).height


class Watch(threading.Thread):
    """Look at a process and at its children, from outside: figures by name, each with its time."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._folder = Path(f"/proc/{pid}")
        self.over = threading.Event()
        self.seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.peaks: dict[tuple[str, str], tuple[float, str, float]] = {}

    def run(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            with suppress(OSError):  # the server has ended, which is told elsewhere
                self._look()

    def _look(self) -> None:
        now, status = time.monotonic(), read_status(self._folder)
        files = sum(1 for _ in (self._folder / "fd").iterdir())
        self.seen["memory of the server, MB"].append((now, status["VmRSS"] / 1024))
        self.seen["open files of the server"].append((now, files))
        for task in self._folder.glob("task/*/children"):
            with suppress(OSError, KeyError):  # it ended meanwhile
                for child in task.read_text().split():
                    self._look_at_child(now, child)

    def _look_at_child(self, now: float, child: str) -> None:
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        # Without the module, the child is still the server's, on its way to become a stage's.
        if "ipp.entrypoints.stage" in command:
            stage, job_id = command[command.index("ipp.entrypoints.stage") + 1 :][:2]
            megabytes = read_status(Path(f"/proc/{child}"))["VmHWM"] / 1024
            self.peaks[child, job_id] = (now, stage, megabytes)


def read_status(folder: Path) -> dict[str, int]:
    """Return the numbers of /proc/PID/status; memory in KB."""
    lines = (line.split() for line in (folder / "status").read_text().splitlines())
    return {line[0][:-1]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdecimal()}


@dataclass
class Verdict:
    """Show figures beside their targets and remember what was missed."""

    begun: float
    seconds: float
    missed: list[str] = field(default_factory=list)

    def expect_none(self, what: str, found: Sequence[object], beside: str = "") -> None:
        """Show a figure that must be 0, and the first of what was found besides."""
        print_figure(what, len(found), "", {"target": 0}, beside, digits=0)
        for one in found[:5]:
            print(f"    {one}")
        self.missed += [what] if found else []

    def expect_flat(self, what: str, seen: Sequence[tuple[float, float]]) -> None:
        """Show the median of the last third beside that of the first, and those of the tenths."""
        first, last = self._median(seen, 0, 3), self._median(seen, 2, 3)
        tenths = ", ".join(f"{self._median(seen, number, 10):,.0f}" for number in range(10))
        print_figure(what, last, "", {"first third": first, "target": first * FLAT_RATIO}, tenths)
        # What was never seen is missed too: no comparison with a NaN holds.
        self.missed += [] if last <= first * FLAT_RATIO else [what]

    def _median(self, seen: Sequence[tuple[float, float]], part: int, parts: int) -> float:
        start, length = self.begun + part * self.seconds / parts, self.seconds / parts
        within = [value for moment, value in seen if start <= moment < start + length]
        return median(within or [float("nan")])


def settle(client: httpx2.Client, jobs: Sequence[Started]) -> list[str]:
    """Ask once more how every job ended; what is wrong with the whole of them."""
    for job in jobs:
        job.status = client.get(f"/ipp/status/{job.job_id}").json().get("status", "NOT FOUND")
    listed: Counter[str] = Counter()
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(
            "/ipp/jobs", params={"limit": "200"} | ({"cursor": cursor} if cursor else {})
        ).json()
        listed.update(job["job_id"] for job in page["jobs"])
        cursor = page["next_cursor"]
    known = Counter(job.job_id for job in jobs)
    return [
        f"{job_id}: listed {listed[job_id]} times"
        for job_id in known | listed
        if listed[job_id] != known[job_id]
    ]


def soak(server: Server, minutes: float) -> tuple[Ledger, Watch, float]:
    """Run the users; return what they saw, the server's samples, and when measuring began."""
    with httpx2.Client(base_url=server.address, trust_env=False, timeout=60.0) as client:
        counters = client.post("/ipp/validate-clients").json()["validClients"]
        ledger, watch = Ledger(), Watch(server.pid)
        begun = time.monotonic() + WARM_UP_SECONDS
        end = begun + minutes * 60
        users = [User(number, server, counters, ledger, end) for number in range(USERS)]
        for thread in (watch, *users):
            thread.start()
        for thread in users:
            thread.join(end + 2 * PATIENCE_SECONDS - time.monotonic())
        watch.over.set()
        watch.join(10)
        ledger.unexpected += settle(client, ledger.jobs)
    return ledger, watch, begun


def report(ledger: Ledger, watch: Watch, verdict: Verdict, home: Path) -> None:
    """Show every figure, those of the jobs last."""
    ends = Counter(job.status for job in ledger.jobs)
    print(f"{len(ledger.jobs)} jobs: {dict(sorted(ends.items()))}")
    told = Counter(ledger.answers)
    print(f"{told.pop(0, 0):,} requests broken off by their users")
    print(f"{told.total():,} answered, by status: {dict(sorted(told.items()))}")
    for what, seen in watch.seen.items():
        verdict.expect_flat(what, seen)
    for stage in Stage:
        peaks = [(now, peak) for now, name, peak in watch.peaks.values() if name == stage.value]
        verdict.expect_flat(f"peak of a {stage.value}, MB, {len(peaks)} of them", peaks)
    lost = [f"{job.job_id}: {job.status}" for job in ledger.jobs if not job.as_it_should]
    verdict.expect_none("jobs lost", lost, "started, and not ended as they should")
    verdict.expect_none("answers that should not have been", ledger.unexpected)
    left = [path.name for path in (home / "borradores").glob("*")]
    verdict.expect_none("folders of downloads that were left", left)


def list_errors(log: Path) -> list[str]:
    """Return the lines of a server's log that are errors, each with the last line of its cause."""
    found = []
    for line in log.read_text().splitlines():
        entry = json.loads(line) if line.startswith("{") else {"level": "ERROR", "message": line}
        if entry["level"] not in {"INFO", "WARNING"}:
            cause = str(entry.get("exc_info", "")).strip().rpartition("\n")[2]
            found.append(f"{entry.get('logger', 'stderr')}: {entry['message'].strip()}: {cause}")
    return found


def main(minutes: float = 10.0) -> int:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        size = ("--mostradores", str(COUNTERS), "--materiales", str(PRODUCTS), "--dias", str(DAYS))
        run_process((*IPP, "sample", *size), {"IPP_HOME": str(home)})
        print(f"{USERS} users for {minutes:g} minutes after one that is not measured")
        with run_server(home, IPP_MAX_JOBS=str(2 * USERS)) as server:
            ledger, watch, begun = soak(server, minutes)
            failures = list_errors(server.log)  # before its end, which it tells as one
        verdict = Verdict(begun, minutes * 60)
        report(ledger, watch, verdict, home)
        verdict.expect_none("errors in the server's log", failures)
    missed = ", ".join(verdict.missed)
    print(f"missed: {missed}" if missed else "nothing leaks, no job was lost")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*(float(argument) for argument in sys.argv[1:])))
