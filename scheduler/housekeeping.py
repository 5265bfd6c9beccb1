"""Housekeeping: deletes rows no longer needed, sets timers that are missing, moves levels."""

from __future__ import annotations

from dispatch.flows import maintenance
from dispatch.flows.people import certificates, levels
from dispatch.runtime import Runtime

EVERY_S = 600.0
BATCHES = 10


async def delete_old_rows(rt: Runtime) -> None:
    """Delete at most ten thousand old rows of each kind, in short transactions."""
    for _ in range(BATCHES):
        await maintenance.delete_old_rows(rt)


async def move_levels(rt: Runtime) -> None:
    """Look at the levels of at most two thousand friends that are due, in short transactions."""
    for _ in range(BATCHES):
        if not await levels.move_due(rt):
            break


async def keep_timers(rt: Runtime) -> None:
    """Set at most ten thousand timers that are missing, in short transactions."""
    for _ in range(BATCHES):
        if not await certificates.keep_all_timers(rt):
            break
