"""What the page says, in each language: Spanish first, English for those who ask for it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import Request

_TRANSLATIONS_FOLDER: Final = Path(__file__).parent / "words"

LANGUAGE_CODES: Final = ("es", "en")
"""The languages there are, the one that is spoken where nobody asks first."""


@dataclass(frozen=True, slots=True)
class Translations:
    """The phrases of one ``language``."""

    language: str
    phrases: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The phrase ``key``, with ``values`` where it has ``{name}``. Raises KeyError for one that nobody wrote."""
        return self.phrases[key].format(**values)


@cache
def load_translations(language: str) -> Translations:
    """The phrases of a language, one of `LANGUAGE_CODES`."""
    text = (_TRANSLATIONS_FOLDER / f"{language}.toml").read_text(encoding="utf-8")
    return Translations(language, tomllib.loads(text))


def request_translations(request: Request) -> Translations:
    """The first language that the Accept-Language of whoever asks has of ours."""
    accepted = request.headers.get("accept-language", "")
    asked = [part.partition(";")[0].strip()[:2].lower() for part in accepted.split(",")]
    return load_translations(
        next((language for language in asked if language in LANGUAGE_CODES), LANGUAGE_CODES[0])
    )
