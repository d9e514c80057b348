"""The mathematics of IPP: frames and arrays in, frames and arrays out.

No input or output, no clock, no settings: what a function here gives back depends on its arguments alone.
"""
