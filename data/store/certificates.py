"""Certificates that end, and the timers by which their holders are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from data import sql_loader
from data.db import Connection
from data.records.ids import FriendId
from data.records.people import Ending

sql = sql_loader.load("certificates")


async def without_timer(
    tx: Connection, friends: Collection[FriendId] | None, before: timedelta, limit: int
) -> dict[FriendId, datetime]:
    """Return at most `limit` friends whose timer is missing, with the end they are to be told of.

    Of `friends`, or of all. A timer is due `before` the end.
    """
    rows = await tx.fetch(sql.without_timer, friends, before, limit)
    return {FriendId(row["friend_id"]): row["until"] for row in rows}


async def set_timers(tx: Connection, due: Mapping[FriendId, datetime]) -> None:
    """Set the timers of these friends."""
    if due:
        await tx.execute(sql.set_timers, [*due], [*due.values()])


async def due(tx: Connection, limit: int) -> list[FriendId]:
    """Return at most `limit` friends whose timer is due, longest due first; takes no lock."""
    return [FriendId(row["subject_id"]) for row in await tx.fetch(sql.due, limit)]


async def take_timer(tx: Connection, friend_id: FriendId) -> bool:
    """Delete the timer of a friend, whose row is locked; False if none is due."""
    return await tx.fetchval(sql.take_timer, friend_id) is not None


async def postpone_timer(tx: Connection, friend_id: FriendId) -> None:
    """Postpone the timer of a friend after a failure, longer each time."""
    await tx.execute(sql.postpone_timer, friend_id)


async def ending(tx: Connection, friend_id: FriendId) -> list[Ending]:
    """Return the certificates that end and whose end the friend was not told."""
    rows = await tx.fetch(sql.ending, friend_id)
    return [Ending(code=row["certificate"], until=row["until"]) for row in rows]


async def mark_told(tx: Connection, friend_id: FriendId, told: Sequence[Ending]) -> None:
    """Record that a friend was told of these ends."""
    if told:
        await tx.execute(sql.mark_told, friend_id, [e.code for e in told], [e.until for e in told])


async def give(tx: Connection, friend_id: FriendId, code: str) -> None:
    """Give a certificate from now on, or from the end of the one held; one without end stays."""
    await tx.execute(sql.give, friend_id, code)
