"""The command line in processes of its own, on a home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

IPP: Final = (sys.executable, "-c", "from ipp.cli import main; main()")


def start_command(
    home: Path, *arguments: str, stdout: int = subprocess.DEVNULL, stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start a command; its progress and errors can be read from ``stderr``."""
    return subprocess.Popen(
        [*IPP, *arguments],
        env=os.environ | {"IPP_HOME": str(home)},
        stdout=stdout,
        stderr=stderr,
        text=True,
    )


def read_lines(process: subprocess.Popen[str], count: int) -> None:
    """Wait until a command has written ``count`` lines of progress, or ended."""
    assert process.stderr is not None
    for _ in range(count):
        process.stderr.readline()
