"""Fences: what a writer must still hold for what it wrote to take effect."""

from __future__ import annotations

from typing import Protocol

from ipp.errors import IppError


class SupersededError(IppError):
    """Another writer took over this one's work, so nothing more of it takes effect."""

    code = "relevado"


class Fence(Protocol):
    """The right to write of one of several writers of the same work, of whom the last counts.

    Picklable: pieces of the work are written by other processes too. ``writer`` names the work,
    ``number`` grows with each that takes it over.
    """

    @property
    def writer(self) -> str:
        """The name of the work."""
        ...

    @property
    def number(self) -> int:
        """The number of this writer among those of the work."""
        ...

    def check_held(self) -> None:
        """Raise `SupersededError` if another took over."""
        ...
