"""Download what a job published, from the request to the last byte, on loopback.

    python bench/download.py [ASKED]

A made-up chain of 9 counters × 4,000 products is computed once; each file of its 36,000 rows is
asked for five times unless told otherwise. Beside them: xlsxturbo and Polars write the same cells
from memory, without formats.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import httpx2
import xlsxturbo

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.server import run_server, wait_for_end

from ipp.core.tables import RESULTS
from ipp.storage.lakehouse.delta_lakehouse import DeltaLakehouse
from measure import IPP, print_figure, run_process, time_function

COUNTERS: Final = 9
PRODUCTS: Final = 4_000

TARGET_SECONDS: Final = 1.5


def main(asked: int = 5) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        size = ("--mostradores", COUNTERS, "--materiales", PRODUCTS, "--dias", 90)
        run_process((*IPP, "sample", *map(str, size)), {"IPP_HOME": str(home)})
        with (
            run_server(home) as server,
            httpx2.Client(base_url=server.address, timeout=60) as client,
        ):
            counters = client.post("/ipp/validate-clients").json()["validClients"]
            job_id = client.post("/ipp/start", json={"mostradores": counters}).json()["job_id"]
            wait_for_end(client, job_id, seconds=600)
            spent = {kind: download(client, job_id, kind, asked) for kind in ("xlsx", "csv")}
        floors = write_floors(home, Path(name))
    for kind, (seconds, megabytes) in spent.items():
        print_figure(
            f"download of {COUNTERS * PRODUCTS:,} rows, {kind}: request to last byte",
            seconds,
            "s",
            {"target": TARGET_SECONDS, **floors[kind]},
            f"{megabytes:.1f} MB",
            digits=2,
        )


def download(client: httpx2.Client, job_id: str, kind: str, asked: int) -> tuple[float, float]:
    """Return the median seconds of a download and its megabytes, after one that is not counted."""
    taken, content = [], b""
    for _ in range(asked + 1):
        start = time.perf_counter()
        answer = client.get(f"/ipp/results/{job_id}/download", params={"format": kind})
        content = answer.raise_for_status().content
        taken.append(time.perf_counter() - start)
    return median(taken[1:]), len(content) / 1e6


def write_floors(home: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Return, by kind of file, the seconds in which another writer writes the published rows."""
    rows = DeltaLakehouse(home / "lakehouse").scan_table(RESULTS).collect()
    assert rows.height == COUNTERS * PRODUCTS, rows.height
    book = folder / "libro.xlsx"
    return {
        "xlsx": {"xlsxturbo": time_function(lambda: xlsxturbo.df_to_xlsx(rows, book), 3)},
        "csv": {"Polars": time_function(lambda: rows.write_csv(folder / "tabla.csv"), 3)},
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
