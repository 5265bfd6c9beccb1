"""The test clock: a clock of the trade that can be set, moved and sped up.

Only the owner of the schema may install it. The caller decides whether it is permitted: with a test
clock deadlines pass at will, so recorded times are not evidence.
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
    """The state of the clock; `speed` is seconds of the trade per wall-clock second."""

    at: datetime
    wall: datetime
    speed: float
    installed: bool


@asynccontextmanager
async def owner_connection(owner_dsn: str) -> AsyncIterator[Connection]:
    """Yield a connection of the owner, which may install the clock."""
    connection = await connect(owner_dsn, application="tekkie clock")
    try:
        with translate_errors():
            yield connection
    finally:
        await connection.close()


async def is_installed(connection: Connection) -> bool:
    """Return whether the test clock is installed."""
    installed: bool = await connection.fetchval(sql.test_clock_installed)
    return installed


async def read(connection: Connection) -> ClockReading:
    """Read the clock."""
    installed = await is_installed(connection)
    speed: float = await connection.fetchval(sql.speed)
    return ClockReading(
        at=await moment(connection),
        wall=await connection.fetchval(sql.server_time),
        speed=speed if installed else 1.0,
        installed=installed,
    )


async def set_clock(connection: Connection, at: datetime, speed: float) -> None:
    """Set the clock to `at` and run it from there; install it if missing."""
    await connection.execute(sql.set_test_clock, at, speed)
    if not await is_installed(connection):
        await connection.execute(sql.install_test_clock)


async def remove(connection: Connection) -> None:
    """Remove the test clock: the trade uses the server's time again."""
    await connection.execute(sql.remove_test_clock)


async def newest_event_at(connection: Connection) -> datetime | None:
    """Return the time of the newest event."""
    at: datetime | None = await connection.fetchval(sql.newest_event_at)
    return at
