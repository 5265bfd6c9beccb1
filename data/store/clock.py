"""How fast the trade's clock runs, and what the server's own clock says."""

from __future__ import annotations

from datetime import datetime, timedelta

from data import sql_loader
from data.db import Connection

sql = sql_loader.load("clock")


async def speed(tx: Connection) -> float:
    """Seconds of the trade that pass in a second on the wall: 1.0 unless a test clock rules."""
    found: float = await tx.fetchval(sql.speed)
    return found


async def wall(tx: Connection) -> datetime | None:
    """The server's own clock; None where a test clock rules, which may be moved at will."""
    found: datetime | None = await tx.fetchval(sql.wall)
    return found


async def last_event_at(tx: Connection) -> datetime | None:
    """When the event happened that was written last; None when there is none."""
    found: datetime | None = await tx.fetchval(sql.last_event_at)
    return found


async def is_confirmed(tx: Connection, within: timedelta) -> bool:
    """Whether somebody has said lately that this server's clock is right."""
    found: bool = await tx.fetchval(sql.is_confirmed, within)
    return found
