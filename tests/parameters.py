"""Parameters of every kind, drawn from their declarations."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from ipp.core.parameters import PARAMETER_FIELDS, ParameterField, Parameters


def parameter_values(declared: ParameterField) -> st.SearchStrategy[float | None]:
    """Return the values that a parameter may have, None where it may be left out."""
    values: st.SearchStrategy[float | None] = st.floats(declared.minimum, declared.maximum)
    if declared.decimals is not None:
        scale = 10**declared.decimals
        first, last = round(declared.minimum * scale), round(declared.maximum * scale)
        values = st.integers(first, last).map(lambda whole: whole / scale)
    elif declared.maximum >= declared.minimum + 1:
        values |= st.integers(math.ceil(declared.minimum), math.floor(declared.maximum))
    return values if declared.default is not None else st.none() | values


parameters = st.builds(
    Parameters, **{name: parameter_values(field) for name, field in PARAMETER_FIELDS.items()}
)
"""Every parameter of this release, within its bounds."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)

later_labels = st.dictionaries(st.from_regex(r"x_[a-z]{1,5}", fullmatch=True), json_values)
"""Parameters that only a later release has, by label."""
