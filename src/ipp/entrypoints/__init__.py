"""Builds what a process needs from its settings: the only package that knows every adapter."""
