"""Draw each diagram of docs/ from its text, name.dot to name.svg, with Graphviz.

A test fails when a diagram is older than its text.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1]


def mark(source: Path) -> str:
    """Return the comment by which a drawing names the version of its text."""
    return f"<!-- {source.name} sha256 {hashlib.sha256(source.read_bytes()).hexdigest()} -->"


def drawing(source: Path) -> str:
    """Return the SVG of a text, without the comments that name Graphviz's version."""
    command = ["dot", "-Tsvg", str(source)]
    svg = subprocess.run(  # noqa: S603  # a command of ours
        command, check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout
    plain = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    return plain.replace("<svg ", f"{mark(source)}\n<svg ", 1)


def main() -> None:
    """Draw the diagrams whose text has changed."""
    for source in sorted(DOCS.rglob("*.dot")):
        target = source.with_suffix(".svg")
        if target.is_file() and mark(source) in target.read_text(encoding="utf-8"):
            continue
        if shutil.which("dot") is None:
            sys.exit(
                f"{source.name} has changed, and Graphviz draws it: apt install graphviz, or "
                "brew install graphviz"
            )
        target.write_text(drawing(source), encoding="utf-8")


if __name__ == "__main__":
    main()
