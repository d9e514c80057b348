"""What each second of a large job does: processor seconds by step, on one core.

    python bench/budget.py [FOLDER] [--counters 100]

The chain is that of bench/scale.py, made in FOLDER (bench/out) where it is not there yet. On one
core there is one process and nothing waits for anything else, so the steps add up to the whole but
for what lies between them. docs/explanation/performance.md tells what they are. Needs Linux.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import os
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from pstats import Stats
from typing import Final

from ipp import cli
from ipp.pipeline.stages import normaliser_stage
from measure import print_figure
from scale import Home

STEPS: Final[Mapping[str, str]] = {
    "sell-out summed, stock and forecasts read": "local_runner.py:cache_rows",
    "sell-out of areas read and divided": "local_runner.py:_group_rows",
    "forecast: units by week": "weeks.py:_sum_weeks",
    "forecast: learning": "forecast.py:calibrate_forecast",
    "forecast: forecasting": "forecast.py:forecast_demand",
    "inputs joined": "local_runner.py:_counter_rows",
    "kernel of Job 1": "normaliser_stage.py:__call__",
    "kernel of the factor step": "factor_stage.py:__call__",
    "lines of processed_data.csv": "spreadsheet.py:csv_body",
    "kernel of the publication": "publication_stage.py:__call__",
    "  of it, budgets": "budget.py:_open_budget",
    "  of it, curves": "allocation.py:_investment_curve",
    "  of it, quantiles of demand": "demand.py:quantiles",
    "files of stages written": "local_runner.py:_write_rows",
    "files of stages read": "local_runner.py:_read_rows",
    "parts of tables written": "table_part.py:write_part",
    "parts of tables committed": "delta_lakehouse.py:replace_with_parts",
}
"""The function of each step; none calls another, but for those indented."""


def run_profiled() -> tuple[float, Stats]:
    """Run a job of all counters; return its processor seconds and its profile."""
    normaliser_stage.MAX_SHEET_ROWS = 0  # type: ignore[attr-defined]  # no workbook of all
    profile, begun = cProfile.Profile(time.process_time), time.process_time()
    sys.argv = ["ipp", "run", "--todos", "--json"]
    try:
        with redirect_stdout(io.StringIO()):
            profile.runcall(cli.main)
    except SystemExit as end:
        if end.code:
            raise
    return time.process_time() - begun, Stats(profile)


def seconds_of(stats: Stats, function: str) -> float:
    """Return the seconds in a function, named ``file.py:name``, and in all that it calls."""
    file, name = function.split(":")
    return sum(
        cumulative
        for (path, _, called), (_, _, _, cumulative, _) in stats.stats.items()  # type: ignore[attr-defined]
        if called == name and Path(path).name == file
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "out")
    parser.add_argument("--counters", type=int, default=100)
    given = parser.parse_args()
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:  # Polars has counted them already: begin anew on one.
        os.sched_setaffinity(0, {min(cores)})
        os.execv(sys.executable, [sys.executable, *sys.argv])  # itself
    home = Home(given.folder / str(given.counters), given.counters)
    home.make()
    home.clear()
    os.environ["IPP_HOME"] = str(home.folder)
    spent, stats = run_profiled()
    whole = {"the whole run": spent}
    print_figure(f"processor time of {given.counters} counters", spent, "s", whole)
    for step, function in STEPS.items():
        print_figure(step, seconds_of(stats, function), "s", whole, digits=2)


if __name__ == "__main__":
    main()
