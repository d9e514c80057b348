"""Copies of the tree, each with the process that runs tests in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]

_LEFT_OUT: Final = (
    ".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis", "demo", "dist", "out", "*.egg-info",
)  # fmt: skip

_HOOK: Final = """import os
if "IPP_MUTANTS_TRACE" in os.environ:
    from tests.mutants.tracer import trace_process
    trace_process({package!r}, os.environ["IPP_MUTANTS_TRACE"])
"""


class CopiedTree:
    """A copy of the tree at ``folder``; ends its process at the end of the context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.answer = folder / "answer.json"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        hook = folder / "hook"
        hook.mkdir()
        package = str((self.tree / "src/ipp").resolve())
        (hook / "sitecustomize.py").write_text(_HOOK.format(package=package))
        temporary = folder / "tmp"
        temporary.mkdir()
        path = [str(hook), str(self.tree / "src"), str(self.tree)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.runner"],
            cwd=self.tree,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(path), "TMPDIR": str(temporary)}
            | {"OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> CopiedTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def ask(self, **request: Any) -> Any:
        """Send a request to the process and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request | {"answer": str(self.answer)}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())
