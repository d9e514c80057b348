"""Copies of a home: made while others write, verified, and put back."""
