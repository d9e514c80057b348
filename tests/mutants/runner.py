"""A process that runs tests again and again in one copy of the tree, each time in a fork.

The fork finds the libraries imported, which is most of what a short test run takes, but nothing of
the package. It reads requests as lines of JSON, and answers each with one.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

PACKAGE: Final = Path("src/ipp")

_LIBRARIES: Final = (
    "_pytest.assertion.rewrite", "hypothesis", "hypothesis.extra.numpy", "numpy", "polars",
    "polars.testing", "narwhals", "deltalake", "fastapi", "fastapi.testclient", "jinja2", "jwt",
    "boto3", "openpyxl", "prometheus_client", "rich.console", "cyclopts", "uvicorn", "xlsxturbo",
    "cryptography.hazmat.primitives.asymmetric.rsa", "fastexcel", "httpx2", "filelock",
)  # fmt: skip


class Baseline:
    """Pytest plugin: the seconds and the lines of each test, and the tests that fail."""

    def __init__(self, answer: Path) -> None:
        self.answer = answer
        self.seconds: dict[str, float] = defaultdict(float)
        self.lines: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self.failed: set[str] = set()
        self.current: set[tuple[str, int]] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Note the lines of one test, its fixtures' included."""
        self.current = self.lines[item.nodeid]
        return (yield)

    def add_line(self, file: str, line: int) -> None:
        """Note a line that was executed."""
        self.current.add((file, line))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how long a test took, and that it failed."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was found to the answer's file."""
        found = {
            "seconds": self.seconds,
            "failed": sorted(self.failed),
            "lines": {test: sorted(lines) for test, lines in self.lines.items()},
        }
        self.answer.write_text(json.dumps(found))


class Selection:
    """Pytest plugin: run the given tests alone, the fastest file first, and say which failed."""

    def __init__(self, tests: list[str], answer: Path) -> None:
        self.rank = {test: rank for rank, test in enumerate(tests)}
        self.answer = answer

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep and sort what is to run."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.rank),
            key=lambda item: self.rank[item.nodeid],
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the test that failed."""
        if report.failed:
            self.answer.write_text(json.dumps(report.nodeid))


def run_pytest(files: list[str], plugin: object) -> int:
    """Run pytest in this process as `make test` would, but alone; return its exit status."""
    from hypothesis import Phase, settings

    os.environ["CI"] = "true"  # tests/conftest.py then makes Hypothesis deterministic
    settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutants")
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the libraries are imported
    if isinstance(plugin, Baseline):
        options.remove("-x")
    return int(pytest.main([*options, "-m", "not long and not browser", *files], [plugin]))


def run_child(request: dict[str, Any], answer: Path) -> int:
    """Do what a request says; runs in the fork."""
    from tests.mutants.tracer import trace_lines

    log = os.open(answer.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for output in (1, 2):
        os.dup2(log, output)
    if "tests" in request:
        return run_pytest(request["files"], Selection(request["tests"], answer))
    baseline = Baseline(answer)
    os.environ["IPP_MUTANTS_TRACE"] = request["trace"]
    trace_lines(str(PACKAGE.resolve()), baseline.add_line)
    return run_pytest(request["files"], baseline)


def run_request(request: dict[str, Any], answer: Path) -> dict[str, Any]:
    """Run a request in a fork, and end its process group when its time is over."""
    answer.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.setsid()
        status = 70
        try:
            status = run_child(request, answer)
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    ended = _wait_for(child, began + request["limit"])
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if ended is None:
        os.waitpid(child, 0)
    return {"status": ended, "seconds": time.monotonic() - began}


def _wait_for(child: int, deadline: float) -> int | None:
    """Return the exit status of ``child``, or None after the deadline."""
    pause = 0.01
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(pause * 1.2, 0.1)
    return None


def write_mutant(path: Path, source: str, age: int) -> None:
    """Write ``source`` with a time of its own, so that no older bytecode passes for it."""
    path.write_text(source)
    os.utime(path, (age, age))


def main() -> None:
    """Answer requests until the standard input ends."""
    for library in _LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but answers goes to whoever asked
    age = 1_000_000_000
    for line in sys.stdin:
        request = json.loads(line)
        answer = Path(request["answer"])
        path = PACKAGE / request.get("module", "")
        original = path.read_text() if "module" in request else ""
        if original:
            age += 2
            write_mutant(path, request["source"], age)
        try:
            result = run_request(request, answer)
        finally:
            if original:
                write_mutant(path, original, age + 1)
        result["answer"] = json.loads(answer.read_text()) if answer.is_file() else None
        print(json.dumps(result), file=output, flush=True)


if __name__ == "__main__":
    main()
