"""The test clock: a clock of the trade that can be set, moved and sped up.

Only the owner of the schema may install it. Whether it may be there at all is for the caller to
say: with it in place deadlines pass when somebody wishes, and nothing is worth believing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from data import sql_loader
from data.db import Connection, connect, moment, translate_errors

sql = sql_loader.load("clock")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """What the clock says: `speed` counts seconds of the trade per second on the wall."""

    at: datetime
    wall: datetime
    speed: float
    installed: bool


@asynccontextmanager
async def owner_connection(owner_dsn: str) -> AsyncIterator[Connection]:
    """A connection that may put a clock in its place."""
    connection = await connect(owner_dsn, application="tekkie clock")
    try:
        with translate_errors():
            yield connection
    finally:
        await connection.close()


async def is_installed(connection: Connection) -> bool:
    """Whether the trade goes by a test clock."""
    installed: bool = await connection.fetchval(sql.test_clock_installed)
    return installed


async def read(connection: Connection) -> ClockReading:
    """What the clock says now."""
    installed = await is_installed(connection)
    speed: float = await connection.fetchval(sql.speed)
    return ClockReading(
        at=await moment(connection),
        wall=await connection.fetchval(sql.server_time),
        speed=speed if installed else 1.0,
        installed=installed,
    )


async def set_clock(connection: Connection, at: datetime, speed: float) -> None:
    """Let the clock say `at` and go on from there; installs it where it is not yet."""
    await connection.execute(sql.set_test_clock, at, speed)
    if not await is_installed(connection):
        await connection.execute(sql.install_test_clock)


async def remove(connection: Connection) -> None:
    """Let the trade go by the server's own time again."""
    await connection.execute(sql.remove_test_clock)


async def newest_event_at(connection: Connection) -> datetime | None:
    """When the last thing happened to any booking."""
    at: datetime | None = await connection.fetchval(sql.newest_event_at)
    return at
