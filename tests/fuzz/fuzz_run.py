"""Send cases to a real server, and hold each answer to the laws."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.e2e.server import Server
from tests.fuzz.case import Case
from tests.waiting import PATIENCE_SECONDS

MAX_CPU_SECONDS = 2.0
"""Processor time of a case, of whichever process spent it."""

MAX_RESIDENT_BYTES = 600 << 20
MAX_ANSWER_BYTES = 2 << 20
_TICKS = 100
_TOKEN_PATTERN = re.compile(r'name="sello" value="([^"]+)"')
_INSIDES = ("Traceback (most recent", "\x1b[", "panicked at", "site-packages")


@dataclass(slots=True)
class Figures:
    """What a run saw: answers by kind and status, and the largest figures with their cases."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    cpu: tuple[float, int] = (0.0, -1)
    seconds: tuple[float, int] = (0.0, -1)
    resident: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def describe(self) -> str:
        counts = ", ".join(f"{k} {s}: {n}" for (k, s), n in sorted(self.answers.items()))
        resident = ", ".join(f"{name} {size >> 20} MB" for name, size in self.resident.items())
        return (
            f"{sum(self.answers.values()):,} cases ({counts})\n"
            f"most processor time {self.cpu[0]:.2f} s (case {self.cpu[1]}), "
            f"longest answer {self.seconds[0]:.2f} s (case {self.seconds[1]}); {resident}\n"
            f"{len(self.broken)} broke a law"
        )


def run_cases(
    server: Server, cases: Iterable[Case], figures: Figures, failures: Path
) -> Iterator[Case]:
    """Send each case and yield it, adding to ``figures``; keep the body of one that broke a law."""
    with (
        httpx2.Client(base_url=server.address, timeout=PATIENCE_SECONDS) as client,
        _watch_memory(server.pid, figures),
    ):
        found = _TOKEN_PATTERN.search(client.get("/ajustes/importar").text)
        assert found is not None
        _read_one_file(client, found[1])
        for case in cases:
            for fault in _send_case(client, server, case, found[1], figures):
                failures.mkdir(parents=True, exist_ok=True)
                (failures / f"{case.number}-{case.kind}").write_bytes(case.body)
                figures.broken.append(f"case {case.number} ({case.method} {case.path}): {fault}")
            yield case
    for name, size in figures.resident.items():
        if size > MAX_RESIDENT_BYTES:
            figures.broken.append(f"{name} took {size >> 20} MB")


def _read_one_file(client: httpx2.Client, token: str) -> None:
    """Let the server import what it needs for its first file, which is no case's doing."""
    files = {"archivo": ("a.csv", b"mostrador\n7051602\n")}
    answer = client.post("/ajustes/importar", data={"sello": token}, files=files)
    assert answer.status_code == 200, answer.text


def _send_case(
    client: httpx2.Client, server: Server, case: Case, token: str, figures: Figures
) -> Iterator[str]:
    """Send a case and yield how it broke a law, if it did."""
    body = case.body.replace(b"TOKEN", token.encode(), 1)
    cpu, start = processor_seconds(server.pid), time.monotonic()
    try:
        answer = client.request(case.method, case.path, headers=dict(case.headers), content=body)
    except httpx2.TransportError as error:
        yield f"no answer: {error!r}"
        return
    seconds, cpu = time.monotonic() - start, processor_seconds(server.pid) - cpu
    figures.answers[case.kind, answer.status_code] += 1
    figures.cpu = max(figures.cpu, (cpu, case.number))
    figures.seconds = max(figures.seconds, (seconds, case.number))
    if answer.status_code >= 500:
        yield f"answered {answer.status_code}"
    if cpu > MAX_CPU_SECONDS:
        yield f"took {cpu:.1f} s of processor time"
    if len(answer.content) > MAX_ANSWER_BYTES:
        yield f"answered {len(answer.content):,} bytes"
    if inside := [text for text in _INSIDES if text in answer.text]:
        yield f"showed {inside}"


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process, of its children, and of theirs that have ended."""
    total = 0.0
    for process in _family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
            total += sum(map(int, fields[11:15])) / _TICKS
    return total


def _family(pid: int) -> list[int]:
    family = [pid]
    for process in family:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                family += map(int, task.read_text().split())
    return family


@contextmanager
def _watch_memory(pid: int, figures: Figures) -> Iterator[None]:
    """Note the most memory that the server, and any child of it, had."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            for process in _family(pid):
                with suppress(OSError, AssertionError):
                    status = Path(f"/proc/{process}/status").read_text()
                    found = re.search(r"VmHWM:\s+(\d+)", status)
                    assert found is not None
                    name = "server" if process == pid else "its largest child"
                    size = int(found[1]) << 10
                    figures.resident[name] = max(figures.resident.get(name, 0), size)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
