"""How fast the trade's clock runs, and what the server's own clock says."""

from __future__ import annotations

from datetime import datetime

from data import queries
from data.db import Connection

sql = queries.load("clock")


async def speed(tx: Connection) -> float:
    """Seconds of the trade that pass in a second on the wall: 1.0 unless a test clock rules."""
    found: float = await tx.fetchval(sql.speed)
    return found


async def wall(tx: Connection) -> datetime | None:
    """The server's own clock; None where a test clock rules, which may be moved at will."""
    found: datetime | None = await tx.fetchval(sql.wall)
    return found
