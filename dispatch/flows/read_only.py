"""Connections for reads outside a transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from data.db import Connection, autocommit
from dispatch.runtime import Runtime


@asynccontextmanager
async def read_connection(rt: Runtime) -> AsyncIterator[Connection]:
    """A connection for reads of one statement each. Raises DatabaseUnavailable, DatabaseBusy."""
    async with autocommit(rt.pool) as connection:
        yield connection
