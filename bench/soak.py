"""`ipp serve` under constant starts, polls, cancels and downloads: are jobs lost, does memory grow?

    python bench/soak.py [MINUTES]

Thirty minutes unless told otherwise, after one that is not measured: allocators, pools of threads
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
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.server import Server, serving

from ipp.core.tables import RESULTS
from ipp.jobs.job import JobStatus, Stage
from measure import IPP, process
from watch import Verdict, Watch

USERS, COUNTERS, PRODUCTS, DAYS = 4, 4, 200, 120
WARM_UP = 60.0
"""Seconds."""
PATIENCE = 300.0
"""Seconds that a user waits for one job: at most four are queued before it, a few seconds each."""

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


class Answer(NamedTuple):
    """The status and duration of one request; a status of 0 means that its user broke it off."""

    moment: float
    what: str
    status: int
    seconds: float


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
    """What all users did and were told; each only appends."""

    answers: list[Answer] = field(default_factory=list)
    jobs: list[Started] = field(default_factory=list)
    published: list[Started] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


class UnexpectedError(Exception):
    """The server said what it should not have."""


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
        self._habits: Sequence[tuple[Callable[[], None], int]] = (
            (self._list, 2), (self._read, 3), (self._download, 4), (self._hang_up, 2),
            (self._ask_wrongly, 2),
        )  # fmt: skip

    def run(self) -> None:
        with self._client:
            while time.monotonic() < self._until:
                try:
                    self._one_job()
                except (
                    Exception
                ) as error:  # whatever it was, it is told at the end, and the next job is due
                    self._ledger.unexpected.append(f"{type(error).__name__}: {error}")
                    time.sleep(1.0)

    def _one_job(self) -> None:
        job = self._start()
        begun = time.monotonic()
        doubt = (
            begun + self._chance.uniform(0.0, 30.0) if self._chance.random() < 0.3 else float("inf")
        )
        if doubt == float("inf") and self._chance.random() < 0.4:
            self._follow(job)
        while job.status not in ENDED and time.monotonic() < begun + PATIENCE:
            time.sleep(self._chance.uniform(0.05, 0.4))
            if time.monotonic() > doubt:
                doubt = float("inf")
                self._cancel(job)
            habits, weights = zip(*self._habits, strict=True)
            self._chance.choices(habits, weights)[0]()
            job.status = self._ask("status", {200}, "GET", f"/ipp/status/{job.job_id}").json()[
                "status"
            ]
        if job.status == "COMPLETED":
            self._look_at(job)
            self._ledger.published.append(job)

    def _start(self) -> Started:
        chosen = self._chance.sample(self._counters, self._chance.randint(1, len(self._counters)))
        asked: Mapping[str, Any] = {
            "json": {"mostradores": chosen},
            "headers": {"Idempotency-Key": f"{self._chance.getrandbits(128):x}"},
        }  # fmt: skip
        job_id = self._ask("start", {202}, "POST", "/ipp/start", **asked).json()["job_id"]
        job = Started(job_id, PRODUCTS * len(chosen))
        self._ledger.jobs.append(job)
        if self._chance.random() < 0.2:
            again = self._ask("start again", {202}, "POST", "/ipp/start", **asked).json()["job_id"]
            self._check(again == job_id, f"one key gave {job_id} and {again}")
        return job

    def _cancel(self, job: Started) -> None:
        job.cancelled = (
            self._ask("cancel", {200, 409}, "POST", f"/ipp/jobs/{job.job_id}/cancel").status_code
            == 200
        )

    def _follow(self, job: Started) -> None:
        """Server-sent events to the job's end, or to the one at which the user goes away."""
        start, bored = time.monotonic(), self._chance.choice([1, 2, 1_000])
        with self._client.stream("GET", f"/ipp/jobs/{job.job_id}/events") as stream:
            self._ledger.answers.append(
                Answer(start, "events", stream.status_code, time.monotonic() - start)
            )
            told = 0
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    job.status, told = json.loads(line[6:])["status"], told + 1
                if told == bored or time.monotonic() > start + PATIENCE:
                    break

    def _look_at(self, job: Started) -> None:
        """What came out, all of it."""
        summary = self._ask("results", {200}, "GET", f"/ipp/results/{job.job_id}").json()["summary"]
        self._check(summary["success"], f"{job.job_id} is completed and no success")
        total = self._ask("rows", {200}, "GET", f"/ipp/results/{job.job_id}/rows?limit=1").json()[
            "total"
        ]
        self._check(total == job.rows, f"{job.job_id} has {total} rows of {job.rows}")
        for kind in ("csv", "xlsx", "parquet"):
            self._fetch(job, kind)

    def _list(self) -> None:
        page = self._ask("jobs", {200}, "GET", "/ipp/jobs?limit=20").json()
        if page["next_cursor"]:
            self._ask("jobs", {200}, "GET", f"/ipp/jobs?limit=20&cursor={page['next_cursor']}")
        self._ask("metrics", {200}, "GET", "/metrics")

    def _read(self) -> None:
        if (job := self._any()) is None:
            return
        path = f"/ipp/results/{job.job_id}"
        sort, text = self._chance.choice(list(RESULTS.names)), self._chance.choice(["", "a", "75"])
        asked = {"limit": "50", "sort": sort, "q": text}
        found = self._ask("rows", {200}, "GET", f"{path}/rows", params=asked).json()
        if found["next_cursor"]:
            self._ask(
                "rows",
                {200},
                "GET",
                f"{path}/rows",
                params=asked | {"cursor": found["next_cursor"]},
            )
        # Counters of the traditional model have no curve, and this user does not remember which
        # counters were in the job.
        self._ask(
            "curve",
            {200, 404},
            "GET",
            f"{path}/curve?mostrador={self._chance.choice(self._counters)}",
        )

    def _download(self) -> None:
        if (job := self._any()) is not None:
            self._fetch(job, self._chance.choice(["csv", "xlsx", "parquet"]))

    def _fetch(self, job: Started, kind: str) -> None:
        body = self._ask(
            kind, {200}, "GET", f"/ipp/results/{job.job_id}/download?format={kind}"
        ).content
        rows = {"csv": _csv_rows, "xlsx": _xlsx_rows, "parquet": _parquet_rows}[kind](body)
        self._check(rows == job.rows, f"{kind} of {job.job_id} has {rows} rows of {job.rows}")

    def _hang_up(self) -> None:
        """Go away before an answer has begun, within its body, or within one's own."""
        if (job := self._any()) is None:
            return
        host = f"HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        download = f"GET /ipp/results/{job.job_id}/download?format={{}} {host}\r\n"
        half = f"POST /ipp/start {host}Content-Length: 999\r\n\r\n{{"
        said, heard = self._chance.choice(
            [
                (download.format("csv"), 2_000),
                (download.format("xlsx"), 0),
                (download.format("parquet"), 500),
                (half, 0),
            ]
        )
        start = time.monotonic()
        with socket.socket() as line:
            line.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096
            )  # or all of a body would fit on the way
            line.settimeout(60.0)
            line.connect(("127.0.0.1", self._port))
            line.sendall(said.encode())
            while heard > 0 and (part := line.recv(heard)):
                heard -= len(part)
            time.sleep(self._chance.uniform(0.0, 0.2))
        self._ledger.answers.append(Answer(start, "broken off", 0, time.monotonic() - start))

    def _ask_wrongly(self) -> None:
        method, path, content, status = self._chance.choice(BAD)
        self._ask("bad", {status}, method, path, content=content)

    def _any(self) -> Started | None:
        return self._chance.choice(self._ledger.published) if self._ledger.published else None

    def _ask(
        self, what: str, expected: Collection[int], method: str, path: str, **options: Any
    ) -> httpx2.Response:
        start = time.monotonic()
        answer = self._client.request(method, path, **options)
        self._ledger.answers.append(
            Answer(start, what, answer.status_code, time.monotonic() - start)
        )
        self._check(
            answer.status_code in expected,
            f"{method} {path}: {answer.status_code} {answer.text[:300]}",
        )
        return answer

    def _check(self, held: bool, otherwise: str) -> None:
        if not held:
            raise UnexpectedError(otherwise)


def _csv_rows(body: bytes) -> int:
    return pl.read_csv(io.BytesIO(body), infer_schema=False).height


def _xlsx_rows(body: bytes) -> int:
    return pl.read_excel(io.BytesIO(body), infer_schema_length=0).height


def _parquet_rows(body: bytes) -> int:
    return pl.read_parquet(io.BytesIO(body)).height


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
        tell("before anybody came", watch)
        begun = time.monotonic() + WARM_UP
        end = begun + minutes * 60
        users = [User(number, server, counters, ledger, end) for number in range(USERS)]
        for thread in (watch, *users):
            thread.start()
        for thread in users:
            thread.join(end + 2 * PATIENCE - time.monotonic())
        watch.stop()
        ledger.unexpected += settle(client, ledger.jobs)
    time.sleep(3.0)  # the server has seen the last one go
    tell("after all have gone", watch)
    return ledger, watch, begun


def tell(when: str, watch: Watch) -> None:
    """What the server holds when nothing is asked of it."""
    for what, found in (("open files", watch.opened()), ("threads", watch.running())):
        print(
            f"{what} {when}: {', '.join(f'{name} {many}' for name, many in found.most_common())}",
            flush=True,
        )


def report(ledger: Ledger, watch: Watch, verdict: Verdict, home: Path) -> None:
    """Every figure, the targets last."""
    ends = Counter(job.status for job in ledger.jobs)
    print(
        f"{len(ledger.jobs)} jobs:"
        f" {', '.join(f'{status} {many}' for status, many in sorted(ends.items()))}"
    )
    told = Counter(answer.status for answer in ledger.answers)
    broken = told.pop(0, 0)
    codes = ", ".join(f"{status}: {many:,}" for status, many in sorted(told.items()))
    print(f"{told.total():,} requests answered, {codes}")
    print(f"{broken:,} broken off by their users, before the answer, within it, within the request")
    for what in sorted({answer.what for answer in ledger.answers}):
        taken = [
            (answer.moment, answer.seconds * 1e3)
            for answer in ledger.answers
            if answer.what == what
        ]
        verdict.told(f"  {what}, last third", "ms", taken)
    verdict.told(
        "threads of the server, last third",
        "",
        [(look.moment, look.threads) for look in watch.looks],
    )
    memory = [(look.moment, look.megabytes) for look in watch.looks]
    verdict.course("memory of the server", "MB", memory)
    verdict.flat("memory of the server, last third", "MB", memory)
    verdict.flat(
        "open files of the server", "", [(look.moment, look.files) for look in watch.looks]
    )
    for stage in Stage:
        peaks = [
            (peak.moment, peak.megabytes)
            for peak in watch.peaks.values()
            if peak.stage == stage.value
        ]
        verdict.flat(f"peak of a {stage.value}, {len(peaks)} of them", "MB", peaks)
    lost = [f"{job.job_id}: {job.status}" for job in ledger.jobs if not job.as_it_should]
    verdict.none("jobs lost", lost, "started, and not ended as they should")
    verdict.none("answers that should not have been", ledger.unexpected)
    verdict.none(
        "folders of downloads that were left",
        [path.name for path in (home / "borradores").glob("*")],
    )


def errors(log: Path) -> list[str]:
    """The lines of a server's log that are errors, each with the last line of its cause."""
    found = []
    for line in log.read_text().splitlines():
        entry = json.loads(line) if line.startswith("{") else {"level": "ERROR", "message": line}
        if entry["level"] not in {"INFO", "WARNING"}:
            cause = entry.get("exc_info", "").strip().splitlines() or [""]
            found.append(
                f"{entry.get('logger', 'stderr')}: {entry['message'].strip()}: {cause[-1]}"
            )
    return found


def main(minutes: float = 30.0) -> int:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        size = ("--mostradores", str(COUNTERS), "--materiales", str(PRODUCTS), "--dias", str(DAYS))
        process((*IPP, "sample", *size), {"IPP_HOME": str(home)})
        print(
            f"{USERS} users for {minutes:g} minutes after one that is not measured,"
            f" {COUNTERS} × {PRODUCTS} products"
        )
        with serving(home, IPP_MAX_JOBS=str(2 * USERS)) as server:
            ledger, watch, begun = soak(server, minutes)
            failures = errors(server.log)  # before its end, which it tells as one
        verdict = Verdict(begun, minutes)
        report(ledger, watch, verdict, home)
        verdict.none("errors in the server's log", failures)
    print(
        f"missed: {', '.join(verdict.missed)}"
        if verdict.missed
        else "nothing leaks, no job was lost"
    )
    return 1 if verdict.missed else 0


if __name__ == "__main__":
    sys.exit(main(*(float(argument) for argument in sys.argv[1:])))
