"""The speed of the trade's clock, and the server's own clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("clock")


async def speed(tx: Connection) -> float:
    """Return the seconds of the trade per wall-clock second: 1.0 without a test clock."""
    found: float = await tx.fetchval(sql.speed)
    return found


async def wall_time(tx: Connection) -> datetime | None:
    """Return the server's own clock; None with a test clock, which may be set at will."""
    found: datetime | None = await tx.fetchval(sql.wall)
    return found


async def last_event_at(tx: Connection) -> datetime | None:
    """Return the time of the event written last; None without events."""
    found: datetime | None = await tx.fetchval(sql.last_event_at)
    return found


async def is_confirmed(tx: Connection, within: timedelta) -> bool:
    """Return whether an operator has confirmed the server's clock within this time."""
    found: bool = await tx.fetchval(sql.is_confirmed, within)
    return found
