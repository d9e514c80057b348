"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ipp",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ipp")

_REAL = Path(__file__).parents[2] / "shared" / "data" / "real_7051602.parquet"


@pytest.fixture(scope="session")
def real_file() -> Path:
    """One real counter, as the system in production wrote it; it is not part of the project."""
    if not _REAL.is_file():
        pytest.skip("the real counter's file is not here")
    return _REAL


@pytest.fixture(scope="session")
def real(real_file: Path) -> pl.DataFrame:
    return pl.read_parquet(real_file)
