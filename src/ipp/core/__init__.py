"""The mathematics of IPP: frames and arrays in, frames and arrays out.

No input or output, no clock, no settings: every result depends on the arguments alone.
"""
