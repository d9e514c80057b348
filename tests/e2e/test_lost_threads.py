"""A server or worker whose threads cannot go on ends with a message and a status that says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.long

PROGRAM = """
import sys
from ipp.cli import main
from ipp.jobs.engines.stage_worker import StageWorker
from ipp.jobs.reconciler import Reconciler
from ipp.entrypoints import supervised_loop

class Panic(BaseException): ...

def fail(*_):
    raise Panic("index out of bounds")

supervised_loop.SupervisedLoop.__init__.__kwdefaults__["pause"] = 0.01
lost = sys.argv.pop(1)
setattr(*{"worker": (StageWorker, "run_once"), "sweep": (Reconciler, "sweep_jobs")}[lost], fail)
main()
"""


@pytest.mark.parametrize("lost", ["worker", "sweep"])
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)], ids="-".join)
def test_a_process_that_lost_a_thread_for_good_says_so(
    tmp_path: Path, command: tuple[str, ...], lost: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, lost, *command],
        env=os.environ | {"IPP_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Error: El trabajador falló varias veces seguidas" in done.stderr
    assert f"{lost} failed for good" in done.stderr
