"""Write SVG elements as text."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_FORBIDDEN_PATTERN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not admit, not even as references."""


FONT_PIXELS: Final = 12
"""Size of every text, for which the style sheet of a chart must ask."""


def estimate_width(text: str) -> float:
    """Return the pixels to allow for ``text``, in the widest of common fonts (DejaVu Sans)."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> float:
    if character in ",.:;' ":
        return 0.35 * FONT_PIXELS
    return (0.8 if character.isupper() else 0.64) * FONT_PIXELS


def write_element(tag: str, content: str = "", /, **attributes: str | float) -> str:
    """Return an element around ``content``, which is markup already.

    Underscores in the names of attributes stand for hyphens, and one at the end for nothing, so
    that ``class_`` and ``stroke_width`` can be written.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_write_value(value)}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def write_text(text: str) -> str:
    """Return ``text`` as markup; what XML does not admit is replaced."""
    return escape(_FORBIDDEN_PATTERN.sub("\ufffd", text))


def write_number(value: float) -> str:
    """Return a coordinate in pixels, to a tenth: 12, 12.5."""
    return f"{value:.1f}".removesuffix(".0")


def _write_value(value: str | float) -> str:
    return write_text(value) if isinstance(value, str) else write_number(value)
