"""A Lambda's cold start until the first status, beside the bare runtime and our imports alone.

    python bench/lambda_start.py [RUNS]

The code is the package as it is deployed, for this machine, in Lambda's own runtime (awslambdaric)
with nothing else to import from; DynamoDB is moto, Databricks a server that answers at once, both
on loopback. What is not in it: Lambda's fetching of the package, its network, and that its
processors are slower than a laptop's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from infra.package import megabytes
from tests.cloud import lambda_package
from tests.cloud.aws import run_moto
from tests.cloud.gateway import build_event
from tests.cloud.runtime import run_function
from tests.cloud.scripted_answers import serve_script
from tests.cloud.stack import CLAIMS, build_stack, run_in

from ipp.jobs.job import JobStatus
from measure import print_figure

TARGET = 600.0
"""Milliseconds."""

BESIDE = {
    "bare": "def handler(event, context): return {}",
    "imports": "import ipp.entrypoints.lambda_functions\ndef handler(event, context): return {}",
}
"""What the status is measured beside: modules that are laid into the package."""


def main(runs: int = 15) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        code = place / "lambda"
        lambda_package.lay_out(code)
        size = megabytes(code)
        for module, text in BESIDE.items():
            (code / f"{module}.py").write_text(text)
        runtime = lambda_package.runtime(code, place / "runtime")
        with run_moto(place) as address, serve_script(run_in("RUNNING")) as workspace:
            deployed = build_stack(address, place)
            environ = deployed.settings(workspace.url)

            def started(handler: str, asked: Mapping[str, Any]) -> float:
                """Milliseconds from the start of a process to its first answer."""
                start = time.perf_counter()
                with run_function("bench", handler, environ, place / "log", runtime) as function:
                    answer = function.invoke(asked)
                    spent = time.perf_counter() - start
                if asked and answer["statusCode"] != 200:
                    raise SystemExit(f"{handler} answered {answer}")
                return spent * 1e3

            def status(job_id: str) -> Mapping[str, Any]:
                return build_event("GET", f"/ipp/status/{job_id}", claims=CLAIMS)

            ended = deployed.put(JobStatus.COMPLETED)
            kinds: dict[str, Callable[[], float]] = {
                "bare": lambda: started("bare.handler", {}),
                "imports": lambda: started("imports.handler", {}),
                "ended": lambda: started(
                    "ipp.entrypoints.lambda_functions.status", status(ended.job_id)
                ),
                "running": lambda: started(
                    "ipp.entrypoints.lambda_functions.status",
                    status(deployed.put(JobStatus.JOB1_RUNNING, running="4711").job_id),
                ),
            }
            spent = defaultdict(list)
            for _ in range(runs + 1):
                for kind, start in kinds.items():
                    spent[kind].append(start())
        bare, imports, first, asking = (
            median(spent[kind][1:]) for kind in ("bare", "imports", "ended", "running")
        )
        print_figure("the package of the functions, unpacked", size, "MB", {"target": 40.0})
        against = {
            "target": TARGET,
            "a handler that does nothing": bare,
            "one with our imports": imports,
        }
        print_figure("import and first status of a function", first, "ms", against, digits=0)
        print_figure(
            "the same of a job that runs on Databricks",
            asking,
            "ms",
            {"of one that has ended": first},
            digits=0,
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
