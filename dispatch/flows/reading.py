"""Reading without deciding."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from data.db import Connection, transaction
from dispatch.runtime import Runtime


@asynccontextmanager
async def reading(rt: Runtime) -> AsyncIterator[Connection]:
    """A connection for one view; raises DatabaseAway, DatabaseBusy, DatabaseFull."""
    async with transaction(rt.pool) as tx:
        yield tx
