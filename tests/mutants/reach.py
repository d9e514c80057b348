"""Which tests reach which lines, and how long each takes."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.mutants.copied_tree import ROOT, CopiedTree
from tests.mutants.mutation import Mutation

MAX_BASELINE_SECONDS: Final = 1_800


@dataclass(slots=True)
class Reach:
    """Tests by the (file, line) that they execute, and ``seconds`` by test."""

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: list[str] = field(default_factory=list)

    def add(self, found: dict[str, Any]) -> None:
        """Add what one file of tests found; ``apart`` are the lines of processes it started."""
        self.failed += found["failed"]
        for test, seconds in found["seconds"].items():
            self.seconds[test] = seconds
        for test, lines in found["lines"].items():
            for file, line in lines:
                self.tests[file, line].add(test)
        for file, line in found["apart"]:
            self.tests[file, line].update(found["seconds"])

    def find_tests(self, mutation: Mutation) -> list[str]:
        """Return the tests that can notice a mutation, by file, the fastest first.

        A line outside of functions runs when its module is imported: all tests may notice it,
        those that reach the module first.
        """
        if mutation.lines:
            return self._sort(*(self.tests.get((mutation.file, n), ()) for n in mutation.lines))
        near = self._sort(*(t for (file, _), t in self.tests.items() if file == mutation.file))
        return near + self._sort(self.seconds.keys() - set(near))

    def _sort(self, *found: Any) -> list[str]:
        tests = set[str]().union(*found) - set(self.failed)
        total = defaultdict[str, float](float)
        for test in tests:
            total[test.partition("::")[0]] += self.seconds[test]

        def rank(test: str) -> tuple[float, str, float, str]:
            file = test.partition("::")[0]
            return total[file], file, self.seconds[test], test

        return sorted(tests, key=rank)


def measure_reach(trees: Sequence[CopiedTree], tests: Sequence[str], cache: Path) -> Reach:
    """Run each file of ``tests`` once, shared out among the trees.

    What was found is kept in ``cache`` until the package, the file or what tests share changes.
    """
    reach, waiting = Reach(), iter(tests)
    shared = _hash_files([*sorted((ROOT / "src").rglob("*.py")), *_list_shared_files()])

    def measure_next(tree: CopiedTree) -> None:
        for test in waiting:
            known = cache / f"{_hash_files([ROOT / 'tests' / test])}-{shared}.json"
            if not known.is_file():
                known.write_text(json.dumps(_measure_file(tree, f"tests/{test}")))
            reach.add(json.loads(known.read_text()))

    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(trees)) as pool:
        list(pool.map(measure_next, trees))
    return reach


def _measure_file(tree: CopiedTree, test: str) -> dict[str, Any]:
    """Return the seconds, the failed and the lines of the tests of one file."""
    with tempfile.TemporaryDirectory(dir=tree.folder) as trace:
        result = tree.ask(files=[test], trace=trace, limit=MAX_BASELINE_SECONDS)
        if result["answer"] is None:
            sys.exit(f"{test}: " + tree.answer.with_suffix(".log").read_text()[-3_000:])
        found: dict[str, Any] = result["answer"]
        # A process that serves a whole file is started by its first test: it counts for all.
        lines = {line for path in Path(trace).glob("*.txt") for line in path.read_text().split()}
    apart = [line.rpartition(":") for line in lines]
    return found | {"apart": [(file, int(number)) for file, _, number in apart if file]}


def _list_shared_files() -> list[Path]:
    """Return the files of tests that hold no tests, but for this package's."""
    files = (ROOT / "tests").rglob("*.py")
    return sorted(
        file for file in files if not file.name.startswith("test_") and "mutants" not in file.parts
    )


def _hash_files(paths: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(str(path.relative_to(ROOT)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:20]
