"""Batches of mostradores: every row once, in order, as many together as the bound allows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ipp.storage.warehouse.row_batch import split_counters

COUNTS = st.dictionaries(st.integers(1, 10**10), st.integers(1, 50), max_size=30)


@given(COUNTS, st.integers(1, 120))
def test_batches_take_every_mostrador_once_within_the_bound(
    rows: dict[int, int], most: int
) -> None:
    counts = sorted(rows.items())
    batches = list(split_counters(counts, most))
    members = [[n for n, _ in counts if first <= n <= last] for first, last in batches]
    assert [n for batch in members for n in batch] == [n for n, _ in counts]
    sizes = [sum(rows[n] for n in batch) for batch in members]
    for batch, size in zip(members, sizes, strict=True):
        assert size <= most or len(batch) == 1
    for (_, size), (following, _) in pairwise(zip(members, sizes, strict=True)):
        assert size + rows[following[0]] > most
