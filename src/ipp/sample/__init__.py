"""A made-up pharmacy chain, the same for the same seed: to try IPP, to test it, to measure it."""

from ipp.sample.network import Chain, chain
from ipp.sample.store import write

__all__ = ["Chain", "chain", "write"]
