"""What tests over real processes share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.server import IPP


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small chain in a home of its own, to be copied."""
    home = tmp_path_factory.mktemp("chain") / "home"
    subprocess.run(
        [*IPP, "sample", "--mostradores", "4", "--materiales", "200", "--dias", "120"],
        env=os.environ | {"IPP_HOME": str(home)}, check=True, capture_output=True,
    )  # fmt: skip
    return home
