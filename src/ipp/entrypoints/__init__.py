"""Process entry points and wiring: the only package that knows every adapter."""
