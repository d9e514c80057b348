"""An issuer, and a browser of the page whose people sign in there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.unit.web.entering import served
from tests.unit.web.issuing import PretendIssuer, issuing


@pytest.fixture
def issuer() -> Iterator[PretendIssuer]:
    with issuing() as made:
        yield made


@pytest.fixture
def browser(issuer: PretendIssuer, tmp_path: Path) -> Iterator[TestClient]:
    with served(issuer, tmp_path) as client:
        yield client
