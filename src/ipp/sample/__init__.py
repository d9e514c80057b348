"""A made-up pharmacy chain, the same for the same seed: to try IPP, to test it, to measure it."""

from ipp.sample.pharmacy_chain import PharmacyChain, invent_chain
from ipp.sample.sample_writer import write_chain

__all__ = ["PharmacyChain", "invent_chain", "write_chain"]
