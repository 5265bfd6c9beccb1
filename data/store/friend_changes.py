"""Changes of friends since a mark that are not in their own rows, and fingerprints of all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.records.ids import FriendId

sql = sql_loader.load("friend_changes")

PAGE = 5000


class Fingerprint(NamedTuple):
    """The fields that show whether a copy of a friend is up to date."""

    version: int
    open_jobs: int
    live_offers: int


async def live_offers_since(tx: Connection, mark: str, now: datetime) -> Mapping[FriendId, int]:
    """Return the live offers of friends whose bookings changed at or after `mark`."""
    rows = await tx.fetch(sql.live_offers_since, mark, now)
    return {FriendId(row["friend_id"]): row["live"] for row in rows}


async def fingerprints(
    tx: Connection, now: datetime
) -> AsyncIterator[Mapping[FriendId, Fingerprint]]:
    """Yield the fingerprints of all friends with a point but applicants in pages, ordered by id."""
    last = UUID(int=0)
    while rows := await tx.fetch(sql.fingerprints, last, PAGE, now):
        yield {
            FriendId(friend_id): Fingerprint(version, open_jobs, live_offers)
            for friend_id, version, open_jobs, live_offers in rows
        }
        last = rows[-1]["id"]


async def versions(
    tx: Connection, friends: Collection[FriendId]
) -> Mapping[FriendId, tuple[int, int]]:
    """Return version and open jobs of these friends from their rows."""
    if not friends:
        return {}
    rows = await tx.fetch(sql.versions, friends)
    return {FriendId(friend_id): (version, open_jobs) for friend_id, version, open_jobs in rows}
