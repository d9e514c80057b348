"""A synthetic pharmacy chain, reproducible by seed: for trials, tests and benchmarks of IPP."""

from ipp.sample.pharmacy_chain import PharmacyChain, invent_chain
from ipp.sample.sample_writer import write_chain

__all__ = ["PharmacyChain", "invent_chain", "write_chain"]
