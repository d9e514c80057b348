"""The service under load: status reads beside a bare route, and lists of few and many jobs.

    python bench/api.py [SECONDS]

One uvicorn worker on one core and a client on the other, both on loopback. The bare route answers
the bytes of a status from memory: it is what FastAPI and uvicorn cost by themselves.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import httpx2

from ipp.jobs.job import Job, JobOwner, JobStatus
from ipp.jobs.sqlite_job_store import SqliteJobStore
from measure import print_figure, time_function

CLIENTS = 64
RATE = 200
LEAST, MOST = 0.6, 1.2
"""The targets: of a bare route's answers, and of the time that a list of few stored jobs takes."""
BARE = """
import sys, uvicorn
from fastapi import FastAPI, Response
app, body = FastAPI(), sys.stdin.buffer.read()
@app.get("/{rest:path}")
def bare(rest: str) -> Response:
    return Response(body, media_type="application/json")
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


def stored(store: SqliteJobStore, many: int) -> None:
    """Put jobs of the local user into a store, all but one of them ended."""
    from ipp.core.parameters import Parameters

    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for number in range(many):
        moment = now - dt.timedelta(seconds=number)
        job = Job(
            f"ipp-{number:06}",
            JobOwner("local"),
            (7_051_602,),
            Parameters(),
            moment.date(),
            "f",
            moment,
            moment,
        )
        store.create_job(replace(job, status=JobStatus.COMPLETED), now)


async def throughput(address: str, seconds: float) -> float:
    """Answers a second with `CLIENTS` asking at once."""
    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=CLIENTS)) as client:
        stop, answers = time.perf_counter() + seconds, 0

        async def ask() -> None:
            nonlocal answers
            while time.perf_counter() < stop:
                (await client.get(address)).raise_for_status()
                answers += 1

        await asyncio.gather(*(ask() for _ in range(CLIENTS)))
        return answers / seconds


async def latency(address: str, seconds: float) -> float:
    """The 99th percentile of an answer's seconds at `RATE` requests a second."""
    async with httpx2.AsyncClient() as client:
        taken: list[float] = []

        async def ask() -> None:
            start = time.perf_counter()
            (await client.get(address)).raise_for_status()
            taken.append(time.perf_counter() - start)

        begin = time.perf_counter()
        asked = []
        for number in range(round(RATE * seconds)):
            await asyncio.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
            asked.append(asyncio.create_task(ask()))
        await asyncio.gather(*asked)
        return quantiles(taken, n=100)[98]


def lists(home: Path, command: list[str]) -> tuple[float, float]:
    """Seconds of a list of 50 with 100 jobs stored and with 10,000: two servers, asked in turn."""
    stored(SqliteJobStore(home / "more" / "procesos" / "jobs.sqlite"), 10_000)
    address = "http://127.0.0.1:8769"
    more = serving(
        [*command[:-1], "8769"],
        f"{address}/healthz",
        env=os.environ | {"IPP_HOME": str(home / "more")},
    )
    try:
        with httpx2.Client() as client:
            few = partial(client.get, "http://127.0.0.1:8767/ipp/jobs?limit=50")
            many = partial(client.get, f"{address}/ipp/jobs?limit=50")
            rounds = [(time_function(few, 30), time_function(many, 30)) for _ in range(7)]
    finally:
        more.terminate()
        more.wait(10)
    return median(f for f, _ in rounds), median(m for _, m in rounds)


def serving(command: list[str], address: str, **options: object) -> subprocess.Popen[bytes]:
    """Start a server and wait until it answers."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )  # type: ignore[call-overload]  # passed on as they are
    for _ in range(200):
        try:
            httpx2.get(address)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return process  # type: ignore[no-any-return]  # of the call above
    raise SystemExit(f"{address} does not answer")


def main(seconds: float = 5.0) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        store = SqliteJobStore(home / "procesos" / "jobs.sqlite")
        stored(store, 100)
        command = [
            sys.executable,
            "-c",
            "from ipp.cli import main; main()",
            "serve",
            "--port",
            "8767",
        ]
        server = serving(
            command, "http://127.0.0.1:8767/healthz", env=os.environ | {"IPP_HOME": name}
        )
        bare = None
        try:
            address = "http://127.0.0.1:8767/ipp/status/ipp-000007"
            body = httpx2.get(address).content
            with (home / "body").open("wb") as file:
                file.write(body)
            with (home / "body").open("rb") as file:
                bare = serving(
                    [sys.executable, "-c", BARE, "8768"], "http://127.0.0.1:8768/x", stdin=file
                )
            rounds = [
                (
                    asyncio.run(throughput("http://127.0.0.1:8768/x", seconds)),
                    asyncio.run(throughput(address, seconds)),
                )
                for _ in range(3)
            ]
            ours, theirs = median(o for _, o in rounds), median(b for b, _ in rounds)
            against = {"target": LEAST * theirs, "a bare route with the same bytes": theirs}
            print_figure(
                f"status reads, {CLIENTS} clients at once",
                ours,
                "/s",
                against,
                f"{len(body)} bytes",
                digits=0,
            )
            p99 = asyncio.run(latency(address, seconds))
            print_figure(
                f"status reads at {RATE}/s, 99th percentile", p99 * 1e3, "ms", {"target": 25.0}
            )
            few, many = (1e3 * spent for spent in lists(home, command))
            against = {"target": MOST * few, "100 stored": few}
            print_figure("a list of 50 jobs with 10,000 stored", many, "ms", against)
        finally:
            for process in filter(None, (server, bare)):
                process.terminate()
                process.wait(10)


if __name__ == "__main__":
    main(*(float(argument) for argument in sys.argv[1:]))
