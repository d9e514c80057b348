"""Command of `make mutants`."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

from tests.mutants.copied_tree import ROOT, CopiedTree
from tests.mutants.mutation import Module, Mutation
from tests.mutants.reach import Reach, measure_reach
from tests.mutants.room import ROOMS

REASONS: Final = Path(__file__).with_name("equivalent.toml")
PACKAGE: Final = ROOT / "src/ipp"
OUTPUT: Final = ROOT / "bench/out/mutants"

_KEYS: Final = ("file", "scope", "before", "after")


@dataclass(slots=True)
class Outcome:
    """What became of the mutants that ran."""

    reach: Reach
    deadline: float
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    survivors: list[Mutation] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def run_all(self, tree: CopiedTree, mutations: Iterator[Mutation]) -> None:
        """Run mutants in ``tree`` until none or no time is left."""
        while time.monotonic() < self.deadline:
            with self.lock:
                mutation = next(mutations, None)
            if mutation is None:
                return
            self._run(tree, mutation)

    def _run(self, tree: CopiedTree, mutation: Mutation) -> None:
        tests = self.reach.find_tests(mutation)
        kind = "survived"
        if tests:
            limit = 20 + 5 * sum(self.reach.seconds[test] for test in tests)
            result = tree.ask(
                module=mutation.file,
                source=mutation.source,
                tests=tests,
                files=list(dict.fromkeys(test.partition("::")[0] for test in tests)),
                limit=limit,
            )
            kind = {0: "survived", None: "endless"}.get(result["status"], "killed")
        with self.lock:
            self.counts[mutation.file][kind] += 1
            if kind == "survived":
                self.survivors.append(mutation)
                print_survivor(mutation, len(tests))


def draw_evenly(mutations: Sequence[Mutation], seed: int) -> Iterator[Mutation]:
    """Yield the mutations one of each module by turns, in an order that the seed decides."""
    chance = random.Random(seed)
    modules = defaultdict[str, list[Mutation]](list)
    for mutation in mutations:
        modules[mutation.file].append(mutation)
    for module in modules.values():
        chance.shuffle(module)
    while any(modules.values()):
        for module in modules.values():
            if module:
                yield module.pop()


def read_reasons(path: Path) -> dict[tuple[str, ...], str]:
    """Return the reason why a mutation changes nothing, by what names it."""
    entries = tomllib.loads(path.read_text()).get("equivalent", [])
    return {tuple(entry[key] for key in _KEYS): entry["reason"] for entry in entries}


def write_survivors(path: Path, survivors: Sequence[Mutation]) -> None:
    """Write survivors in the form of `equivalent.toml`, for whoever finds the reason."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = []
    for mutation in survivors:
        fields = [f"{key} = '''{getattr(mutation, key)}'''" for key in _KEYS]
        blocks.append("\n".join(["[[equivalent]]", *fields, 'reason = ""', ""]))
    path.write_text("\n".join(blocks))


def find_mutations(room: str, only: Sequence[str]) -> list[Mutation]:
    """Return the mutations of the modules of a room whose path contains one of ``only``."""
    return [
        mutation
        for file in ROOMS[room].list_modules(PACKAGE)
        if not only or any(part in file for part in only)
        for mutation in Module(file, (PACKAGE / file).read_text()).find_mutations()
    ]


def print_survivor(mutation: Mutation, tests: int) -> None:
    """Print a mutation that none of its ``tests`` noticed."""
    where = f"src/ipp/{mutation.file}:{mutation.line} in {mutation.scope or 'the module'}"
    ran = f"{tests} tests ran" if tests else "no test reaches this line"
    print(f"\n{where}\n  - {mutation.before}\n  + {mutation.after}\n    {ran}", flush=True)


def print_outcome(outcome: Outcome, modules: dict[str, int]) -> None:
    """Print a line for each module."""
    columns = ("killed", "endless", "survived", "equivalent")
    print(f"\n{'module':46}{'all':>6}{'drawn':>7}" + "".join(f"{c:>11}" for c in columns), "score")
    total = Counter[str]()
    for file, counts in [*sorted(outcome.counts.items()), ("all", total)]:
        if counts is not total:
            total += Counter({"all": modules[file]}) + counts
        drawn = sum(counts[column] for column in columns)
        ran = drawn - counts["equivalent"]
        share = f"{(ran - counts['survived']) / ran:6.0%}" if ran else "     –"
        every = total["all"] if counts is total else modules[file]
        print(f"{file:46}{every:6}{drawn:7}" + "".join(f"{counts[c]:11}" for c in columns), share)


def run_room(arguments: argparse.Namespace, deadline: float) -> int:
    """Run the mutants of a room; return 1 where a reason is stale or a test fails unchanged."""
    only = [part for part in arguments.only.split(",") if part]
    mutations = find_mutations(arguments.room, only)
    if arguments.show:
        for mutation in mutations:
            print(f"{mutation.file}:{mutation.line}\n  - {mutation.before}\n  + {mutation.after}")
        print(len(mutations), "mutants")
        return 0
    reasons = read_reasons(REASONS)
    modules = Counter(mutation.file for mutation in mutations)
    stale = [
        key
        for key in reasons.keys() - {mutation.key for mutation in mutations}
        if key[0] in modules
    ]
    with tempfile.TemporaryDirectory(prefix="ipp-mutants-") as name, ExitStack() as stack:
        folder = Path(name)
        trees = []
        for number in range(arguments.jobs or os.cpu_count() or 1):
            (folder / str(number)).mkdir()
            trees.append(stack.enter_context(CopiedTree(folder / str(number))))
        reach = measure_reach(
            trees, ROOMS[arguments.room].list_tests(ROOT / "tests"), OUTPUT / "reach"
        )
        print(f"{len(reach.seconds)} tests, {sum(reach.seconds.values()):.0f} s; ", end="")
        print(f"{len(mutations)} mutants, seed {arguments.seed}", flush=True)
        outcome = Outcome(reach, deadline)
        for mutation in mutations:
            if mutation.key in reasons:
                outcome.counts[mutation.file]["equivalent"] += 1
        drawn = draw_evenly([m for m in mutations if m.key not in reasons], arguments.seed)
        with ThreadPoolExecutor(len(trees)) as pool:
            list(pool.map(lambda tree: outcome.run_all(tree, drawn), trees))
    print_outcome(outcome, modules)
    write_survivors(OUTPUT / f"{arguments.room}.toml", outcome.survivors)
    for test in reach.failed:
        print("fails without any mutant, and was left out:", test)
    for key in stale:
        print("a reason for a mutant that is no more:", *key, sep="\n  ")
    return int(bool(stale or reach.failed))


def main() -> int:
    """Read the arguments and run a room."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--room", choices=sorted(ROOMS), default="core")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="parts of paths, with commas between them")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0 is one a processor")
    parser.add_argument("--show", action="store_true", help="list the mutants and run none")
    arguments = parser.parse_args()
    return run_room(arguments, time.monotonic() + 60 * arguments.minutes)


if __name__ == "__main__":
    sys.exit(main())
