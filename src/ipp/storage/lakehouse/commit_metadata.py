"""Read the metadata that IPP adds to the commits of a Delta table.

Read from the log itself, because delta-rs finds no history in a folder whose name it must encode.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_KEY_PREFIX: Final = "ipp."
"""Prefix of the keys that IPP adds to the metadata of a commit."""


def read_metadata(folder: Path, version: int) -> dict[str, Any]:
    """Return the metadata that IPP added to a commit of the table in ``folder``; empty if none."""
    try:
        with commit_file(folder, version).open(encoding="utf-8") as actions:
            commit: dict[str, Any] = next(
                (json.loads(line) for line in actions if '"commitInfo"' in line), {}
            )
    except FileNotFoundError:
        return {}
    said = commit.get("commitInfo", {})
    return {key: value for key, value in said.items() if key.startswith(_KEY_PREFIX)}


def commit_file(folder: Path, version: int) -> Path:
    """Return the path of a commit's file in the log of the table in ``folder``."""
    return folder / "_delta_log" / f"{version:020}.json"
