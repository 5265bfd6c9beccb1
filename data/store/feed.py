"""What changed about friends since a mark, beside their own rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from data import queries
from data.db import Connection
from data.records import FriendId

sql = queries.load("feed")


async def live_offers_since(tx: Connection, mark: str, now: datetime) -> Mapping[FriendId, int]:
    """How many live offers those friends have whose bookings moved at or after `mark`."""
    rows = await tx.fetch(sql.live_offers_since, mark, now)
    return {FriendId(row["friend_id"]): row["live"] for row in rows}
