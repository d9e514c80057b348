"""Decide the published quantities from demand: budget, reasons, published columns."""
