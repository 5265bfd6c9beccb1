"""What the desk and the doctor look at: rows as they are, and what should never be among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.records.ids import BookingId, FriendId

sql = sql_loader.load("consistency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The server's own clock and the clock of the trade, read together."""

    wall: datetime
    trade: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Timers that are due (how many, and since how many seconds), and those that failed before."""

    overdue: int
    overdue_s: float
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    friends: int
    bookings: int
    operators: int
    packages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that is written about one booking, apart from who the customer is."""

    events: list[dict[str, Any]]
    offers: list[dict[str, Any]]
    timers: list[dict[str, Any]]
    messages: list[dict[str, Any]]


async def clocks(tx: Connection) -> Clocks:
    """Both clocks."""
    row = await tx.fetchrow(sql.clocks)
    assert row is not None
    return Clocks(**row)


async def timers(tx: Connection) -> Timers:
    """How the timers stand."""
    row = await tx.fetchrow(sql.timers)
    assert row is not None
    return Timers(**row)


async def counts(tx: Connection) -> Counts:
    """How much there is."""
    row = await tx.fetchrow(sql.counts)
    assert row is not None
    return Counts(**row)


async def bookings_without_timer(tx: Connection) -> list[BookingId]:
    """Bookings that wait for a timer there is not."""
    return [row["id"] for row in await tx.fetch(sql.bookings_without_timer)]


async def friends_miscounted(tx: Connection) -> list[str]:
    """Refs of friends whose counter of open jobs is wrong."""
    return [row["ref"] for row in await tx.fetch(sql.friends_miscounted)]


async def friends_without_point(tx: Connection) -> list[str]:
    """Refs of friends without a point."""
    return [row["ref"] for row in await tx.fetch(sql.friends_without_point)]


async def parked_messages(tx: Connection, limit: int) -> list[dict[str, Any]]:
    """Messages that were given up, the oldest first."""
    return [dict(row) for row in await tx.fetch(sql.parked_messages, limit)]


async def story(tx: Connection, booking_id: BookingId) -> Story:
    """What happened to a booking, and what is still to come."""
    parts = {}
    for name in ("events", "offers", "timers", "messages"):
        block = sql.story if name == "events" else getattr(sql, f"{name}_of")
        parts[name] = [dict(row) for row in await tx.fetch(block, booking_id)]
    return Story(**parts)


async def refs(tx: Connection, ids: Iterable[FriendId | UUID]) -> Mapping[str, str]:
    """The refs of friends by their ids as text."""
    return {str(row["id"]): row["ref"] for row in await tx.fetch(sql.refs, list(set(ids)))}
