"""A chain of 1,000 counters × 4,200 products × 365 days on one machine: time, memory and growth.

    python bench/scale.py [FOLDER] [--counters 1000] [--beside 100]

The samples are made in FOLDER (bench/out) where they are not there yet; the jobs of earlier runs
are removed from it. `ipp run --todos` is one process and its children. Where all rows fit on a
sheet of Excel, as those of 100 counters do and those of 1,000 do not, it also writes the workbook
of all, which takes most of its time: so that the ratio of the two is not flattered by it, both are
taken as if a sheet held nothing, and the plain run of the smaller is shown too. The floor is Polars
in one process that reads the sell-out once and writes the published rows once. At the end ten of
the counters run as a job of their own, which has to give what the large job gave them; exit status
1 where it does not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import polars as pl

from ipp.core.contract import Table
from ipp.core.tables import CURVES, RESULTS, SELLOUT
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from measure import IPP, print_figure, run_process, time_function
from tree import Ran, run_tree

PRODUCTS, DAYS = 4_200, 365
NO_WORKBOOK = (
    "from ipp.pipeline.stages import normaliser_stage; normaliser_stage.MAX_SHEET_ROWS = 0;"
    " from ipp.cli import main; main()"
)
"""`ipp`, where no sheet is large enough for the workbook of all."""
BARE = (sys.executable, "-c", NO_WORKBOOK)
SECONDS, MEGABYTES, GROWTH = 90.0, 6_000.0, 10.5
"""The targets of 1,000 counters, and of the time they take to that of 100."""
ALONE = 10
MARK = "MUESTRA.txt"
"""What `ipp sample` leaves in a home that it may write over."""


@dataclass(frozen=True)
class Home:
    """A made-up chain and the jobs over it."""

    folder: Path
    counters: int

    @property
    def lakehouse(self) -> DeltaLakehouse:
        return DeltaLakehouse(self.folder / "lakehouse")

    def make(self) -> None:
        """Sell for a year, unless that was done before."""
        if (self.folder / MARK).exists():
            return
        begun = self.folder.with_name(f"{self.folder.name}-begun")  # renamed when it is whole
        size = ("--mostradores", self.counters, "--materiales", PRODUCTS, "--dias", DAYS)
        run_process((*IPP, "sample", *map(str, size)), {"IPP_HOME": str(begun)})
        begun.rename(self.folder)

    def clear(self) -> None:
        """Remove what jobs left, tables and files."""
        gold = Path(self.lakehouse.address(RESULTS)).parent
        for folder in (gold, self.folder / "archivos", self.folder / "borradores"):
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, program: tuple[str, ...], *asked: str) -> tuple[str, Ran]:
        """The job's id and what it took."""
        print(f"ipp run {asked[0]}, {self.counters:,} counters", flush=True)
        with tempfile.TemporaryFile() as output:
            ran = run_tree(
                (*program, "run", *asked, "--json"), {"IPP_HOME": str(self.folder)}, output
            )
            output.seek(0)
            job_id = str(json.load(output)["job_id"])
        if program is BARE and list((self.folder / "archivos").rglob(f"{job_id}/*.xlsx")):
            raise SystemExit(f"{job_id} has written a workbook, and was not to")
        return job_id, ran

    def published(self, table: Table, job_id: str) -> pl.LazyFrame:
        return self.lakehouse.scan_table(table).filter(pl.col("job_id") == job_id)

    def rows_sold(self) -> int:
        return int(self.lakehouse.scan_table(SELLOUT).select(pl.len()).collect().item())

    def floor(self, job_id: str) -> float:
        """Return Polars' seconds to read the whole sell-out and write the job's rows, once each."""
        rows, file = self.published(RESULTS, job_id).collect(), self.folder / "floor.parquet"

        def floor() -> None:
            self.lakehouse.scan_table(SELLOUT).collect()["units"].sum()
            rows.write_parquet(file, compression="zstd")

        seconds = time_function(floor, 3)
        file.unlink()
        return seconds


def smaller(home: Home, runs: int = 3) -> float:
    """Show the smaller chain's time with and without its workbook; return the seconds without."""
    spent = []
    for _ in range(runs):
        home.clear()
        spent.append(home.run(BARE, "--todos")[1])
    seconds = median(one.seconds for one in spent)
    home.clear()
    _, plain = home.run(IPP, "--todos")
    what = f"ipp run --todos, {home.counters:,} × {PRODUCTS:,}, {home.rows_sold():,} sales"
    against = {"without the workbook of all": seconds}
    print_figure(
        f"{what}", plain.seconds, "s", against, f"{plain.megabytes:,.0f} MB; this is the plain run"
    )
    return seconds


def larger(home: Home, beside: Home, seconds_beside: float) -> str:
    """Show what the larger chain takes; gives the job."""
    home.clear()
    job_id, ran = home.run(BARE, "--todos")
    sold, published = (
        home.rows_sold(),
        home.published(RESULTS, job_id).select(pl.len()).collect().item(),
    )
    if published != home.counters * PRODUCTS:
        raise SystemExit(f"{job_id} has published {published:,} rows")
    floor = home.floor(job_id)
    what = f"{home.counters:,} × {PRODUCTS:,}"
    read_and_write = "read the sell-out once, write the rows once"
    size = f"{sold:,} rows of sell-out, {published:,} published"
    print_figure(
        f"ipp run --todos, {what}",
        ran.seconds,
        "s",
        {"target": SECONDS, read_and_write: floor},
        size,
    )
    together = f"{ran.processes} processes at most, together at one moment"
    print_figure(
        f"its memory, {what}", ran.megabytes, "MB", {"target": MEGABYTES}, together, digits=0
    )
    for step, seconds in stages(ran).items():
        print_figure(f"  {step}, {what}", seconds, "s", {"the whole run": ran.seconds})
    for rows, many in (("sell-out", sold), ("published", published)):
        against = {"target": many / SECONDS, "the floor": many / floor}
        print_figure(f"rows a second, {rows}, {what}", many / ran.seconds, "/s", against, digits=0)
    times = home.counters / beside.counters
    print_figure(
        f"time of {home.counters:,} counters to that of {beside.counters:,}",
        ran.seconds / seconds_beside,
        "",
        {"target": GROWTH / 10 * times, "as many times the counters": times},
        f"{ran.seconds:.1f} s to {seconds_beside:.1f} s, neither with a workbook of all",
        digits=2,
    )
    return job_id


def stages(ran: Ran) -> dict[str, float]:
    """Return the seconds of each step.

    A stage lasts until the next begins, the last until its last counter; then comes the rest.
    """
    moments = [
        *ran.begun.items(),
        ("committing and telling", max(ran.last.values())),
        ("", ran.seconds),
    ]
    steps = {"starting": moments[0][1]}
    for (step, start), (_, end) in pairwise(moments):
        steps[step] = end - start
    return steps


def alone(home: Home, job_id: str) -> bool:
    """Whether some counters, as a job of their own, get the rows that the job of all gave them."""
    every = (
        home.published(RESULTS, job_id)
        .select(pl.col("mostrador").unique().sort())
        .collect()
        .to_series()
    )
    some = every.gather_every(max(len(every) // ALONE, 1)).head(ALONE)
    own, _ = home.run(BARE, "--mostradores", ",".join(map(str, some)))
    differing = [
        table.title for table in (RESULTS, CURVES) if not same(home, table, (job_id, own), some)
    ]
    print(
        f"{len(some)} of them as a job of their own:"
        f" {'differ in ' + ', '.join(differing) if differing else 'equal'}"
    )
    return not differing


def same(home: Home, table: Table, jobs: tuple[str, str], some: pl.Series) -> bool:
    """Whether two jobs published the same of some counters, every column but the job's id."""
    of_all, own = (
        home.published(table, job).filter(pl.col("mostrador").is_in(some.implode())).drop("job_id")
        for job in jobs
    )
    key = [name for name in table.key if name != "job_id"]
    return of_all.sort(key).collect().equals(own.sort(key).collect())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "out")
    parser.add_argument("--counters", type=int, default=1_000)
    parser.add_argument("--beside", type=int, default=100)
    given = parser.parse_args()
    home, beside = (
        Home(given.folder / str(counters), counters) for counters in (given.counters, given.beside)
    )
    for one in (home, beside):
        one.make()
    job_id = larger(home, beside, smaller(beside))
    return 0 if alone(home, job_id) else 1


if __name__ == "__main__":
    sys.exit(main())
