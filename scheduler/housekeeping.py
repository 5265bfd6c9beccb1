"""Housekeeping: deletes rows that are no longer needed, in small batches."""

from __future__ import annotations

from dispatch.flows import maintenance
from dispatch.runtime import Runtime

EVERY_S = 600.0
BATCHES = 10


async def delete_old_rows(rt: Runtime) -> None:
    """Delete at most ten thousand old rows of each kind, in short transactions."""
    for _ in range(BATCHES):
        await maintenance.delete_old_rows(rt)
