"""A made-up pharmacy chain, the same for the same seed: to try IPP, to test it, to measure it."""

from ipp.sample.pharmacy_chain import Chain, chain
from ipp.sample.sample_writer import write

__all__ = ["Chain", "chain", "write"]
