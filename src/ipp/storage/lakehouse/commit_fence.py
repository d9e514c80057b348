"""Fence the commits of a Delta table by its application transactions.

A table remembers the last number of each writer. It is read in the snapshot that the commit builds
on, and delta-rs refuses a commit on a snapshot since which another of the same writer was written;
so a commit by somebody who was taken for dead fails however late it comes.
"""

from __future__ import annotations

from deltalake import CommitProperties, DeltaTable, Transaction

from ipp.storage.fence import Fence, SupersededError


def check_commit(fence: Fence | None, stored: DeltaTable | None) -> None:
    """Raise `SupersededError` unless ``fence`` is held and the table has no later holder's commit.

    ``stored`` is the snapshot that the commit builds on, None for a new table.
    """
    if fence is None:
        return
    fence.check_held()
    committed = None if stored is None else stored.transaction_version(fence.writer)
    if committed is not None and committed > fence.number:
        raise SupersededError(
            "Otro trabajador ya publicó esta etapa.", hint="El proceso sigue sin éste."
        )


def add_transaction(fence: Fence | None, properties: CommitProperties | None) -> CommitProperties:
    """Return the properties of a commit that leaves the fence's number in the table."""
    properties = CommitProperties() if properties is None else properties
    if fence is not None:
        properties.app_transactions = [Transaction(fence.writer, fence.number)]
    return properties
