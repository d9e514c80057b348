"""What is mutated together, and the tests that should notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Room:
    """Files or folders below src/ipp, less those of ``without``, and the tests below tests/."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()

    def list_modules(self, package: Path) -> list[str]:
        """Return the files of the room below the folder ``package``."""
        files = _list_files(package, self.sources, "*.py")
        return [file for file in files if not file.startswith(self.without)]

    def list_tests(self, tests: Path) -> list[str]:
        """Return the files of tests below the folder ``tests``."""
        return _list_files(tests, self.tests, "test_*.py")


ROOMS: Final = {
    "core": Room(
        ("core",),
        ("unit/core", "unit/test_declared_parameters.py", "unit/test_unseen_weeks.py"),
    ),
    "jobs": Room(
        ("jobs",),
        (
            "unit/jobs", "contract/test_job_stores.py", "contract/test_sqlite_jobs.py",
            "contract/test_dynamodb_jobs.py", "contract/test_stored_items.py",
            "contract/test_reused_keys.py", "unit/server/api/test_refusals.py",
            "unit/server/api/test_forgotten.py", "unit/server/api/test_local_user.py",
        ),
        without=("jobs/engines",),
    ),
    "engines": Room(
        ("jobs/engines",),
        ("unit/jobs/engines", "contract/test_engines.py", "e2e/test_worker.py"),
    ),
    "storage": Room(
        ("storage",),
        (
            "unit/storage", "contract/test_files.py", "contract/test_lakehouse.py",
            "contract/test_upkeep.py", "contract/test_warehouses.py",
            "contract/test_warehouse_register.py", "unit/cloud/databricks",
        ),
    ),
    "auth": Room(
        (
            "server/api/auth.py", "server/api/claims.py", "server/api/jwks.py",
            "server/web/oidc.py", "server/web/session.py", "server/web/sign_in.py",
            "server/web/csrf.py", "jobs/local_caller.py",
        ),
        (
            "unit/server/api/test_auth.py", "unit/server/api/test_keys.py",
            "unit/server/api/test_local_user.py", "unit/server/web/test_entry.py",
            "unit/server/web/test_session.py", "unit/server/web/test_seals.py",
            "unit/server/web/test_leaving.py", "unit/server/web/test_expired.py",
        ),
    ),
    "intake": Room(
        ("formats/intake", "formats/written_number.py"),
        ("unit/formats",),
    ),
}  # fmt: skip


def _list_files(root: Path, places: tuple[str, ...], pattern: str) -> list[str]:
    found = []
    for place in places:
        path = root / place
        files = [path] if path.is_file() else sorted(path.rglob(pattern))
        found += [file.relative_to(root).as_posix() for file in files]
    return found
