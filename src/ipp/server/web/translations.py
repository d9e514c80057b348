"""Phrases of the pages by language: Spanish by default, English on request.

Those of the parameters are in their declarations, the others in ``words/``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import Request

from ipp.core.parameters import PARAMETER_FIELDS

_TRANSLATIONS_FOLDER: Final = Path(__file__).parent / "words"

LANGUAGE_CODES: Final = ("es", "en")
"""Supported languages, the default first."""


@dataclass(frozen=True, slots=True)
class Translations:
    """The phrases of one ``language``."""

    language: str
    phrases: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Return the phrase ``key`` with ``values`` in place of each ``{name}``.

        Raises KeyError if there is no such phrase.
        """
        return self.phrases[key].format(**values)


@cache
def load_translations(language: str) -> Translations:
    """Load the phrases of a language, one of `LANGUAGE_CODES`."""
    text = (_TRANSLATIONS_FOLDER / f"{language}.toml").read_text(encoding="utf-8")
    return Translations(language, tomllib.loads(text) | _parameter_phrases(language))


def _parameter_phrases(language: str) -> dict[str, str]:
    """Return the title of each parameter by its label, and its description by ``label_que``."""
    phrases = {}
    for declared in PARAMETER_FIELDS.values():
        phrases[declared.label] = getattr(declared.title, language)
        phrases[f"{declared.label}_que"] = declared.describe(language)
    return phrases


def request_translations(request: Request) -> Translations:
    """Return the phrases in the first supported language of Accept-Language.

    The default language is used where it names none.
    """
    accepted = request.headers.get("accept-language", "")
    requested = [part.partition(";")[0].strip()[:2].lower() for part in accepted.split(",")]
    return load_translations(
        next((language for language in requested if language in LANGUAGE_CODES), LANGUAGE_CODES[0])
    )
