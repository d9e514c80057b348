"""The units of infra/systemd, read by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from ipp.cli import run_cli

FOLDER: Final = Path(__file__).parents[2] / "infra" / "systemd"
SERVICES: Final = sorted(path.name for path in FOLDER.glob("*.service"))
TIMERS: Final = sorted(path.name for path in FOLDER.glob("*.timer"))

MOST_EXPOSED: Final = 2.0
"""Of 10, by systemd's own count: what listens on a port cannot come to 0."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with the units, systemd's own, and something at the command's place."""
    made = tmp_path_factory.mktemp("root")
    shutil.copytree(FOLDER, made / "etc/systemd/system")
    shutil.copytree("/usr/lib/systemd/system", made / "usr/lib/systemd/system", symlinks=True)
    command = made / "opt/ipp/bin/ipp"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n", encoding="ascii")
    command.chmod(0o755)
    return made


def analyze(root: Path, *arguments: str) -> str:
    ended = subprocess.run(
        ["systemd-analyze", f"--root={root}", *arguments],
        check=False, capture_output=True, text=True, cwd=root,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return ended.stdout


@needs_systemd
@pytest.mark.parametrize("unit", [*SERVICES, *TIMERS])
def test_systemd_finds_no_fault_in_a_unit(root: Path, unit: str) -> None:
    analyze(root, "verify", unit)


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_little_else(root: Path, service: str) -> None:
    said = analyze(root, "security", "--offline=yes", service)
    exposure = re.search(rf"for {re.escape(service)}: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_a_command_that_there_is(
    service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (FOLDER / service).read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/opt/ipp/bin/ipp (.+)$", text, re.MULTILINE)
    command, *arguments = line.split()
    assert run_cli([command, "--help"]) == 0
    assert f"ipp {command}" in (shown := capsys.readouterr().out)
    for option in arguments:
        assert not option.startswith("--") or option in shown


@pytest.mark.parametrize("timer", TIMERS)
def test_a_timer_starts_a_service_that_there_is(timer: str) -> None:
    assert timer.replace(".timer", ".service") in SERVICES
