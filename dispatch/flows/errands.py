"""Queues errands in the transaction of what calls for them."""

from __future__ import annotations

from data.db import Connection
from data.records.errands import Errand
from data.store import errands as store
from dispatch.rules import errands


async def add(tx: Connection, *wanted: Errand) -> None:
    """Queue errands; they are made after the commit. Raises UndeclaredData."""
    for one in wanted:
        errands.check(one)
    await store.insert(tx, wanted)
