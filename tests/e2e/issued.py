"""A real server that people sign in to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.server import Server, serving
from tests.unit.api.callers import AUDIENCE
from tests.unit.web.issuing import PretendIssuer


@contextmanager
def issued(chain: Path, folder: Path, issuer: PretendIssuer) -> Iterator[Server]:
    """Serves a copy of ``chain`` in ``folder`` to whom ``issuer`` knows, which learns where people may be sent back."""
    home = folder / "home"
    shutil.copytree(chain, home)
    with serving(home, IPP_ISSUER=issuer.url, IPP_AUDIENCE=AUDIENCE) as running:
        issuer.answers.add(running.address)
        yield running
