"""Reading without deciding."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from data.db import Connection, looking
from dispatch.runtime import Runtime


@asynccontextmanager
async def reading(rt: Runtime) -> AsyncIterator[Connection]:
    """A connection for views of one statement each; raises DatabaseAway, DatabaseBusy."""
    async with looking(rt.pool) as connection:
        yield connection
