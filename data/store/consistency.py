"""Reads for the desk and the doctor: numbers of rows, and rows that break invariants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.records.ids import BookingId, FriendId

IdKind: TypeAlias = Literal["booking", "message", "friend", "operator"]

sql = sql_loader.load("consistency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The server's own clock and the trade's clock, read together."""

    wall: datetime
    trade: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Due timers: their number and the seconds since the first; and timers that have failed."""

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
    """All rows of one booking without personal data of the customer."""

    events: list[dict[str, Any]]
    offers: list[dict[str, Any]]
    timers: list[dict[str, Any]]
    messages: list[dict[str, Any]]


async def clocks(tx: Connection) -> Clocks:
    """Read both clocks."""
    row = await tx.fetchrow(sql.clocks)
    assert row is not None
    return Clocks(**row)


async def timers(tx: Connection) -> Timers:
    """Read the state of the timers."""
    row = await tx.fetchrow(sql.timers)
    assert row is not None
    return Timers(**row)


async def counts(tx: Connection) -> Counts:
    """Count the rows of the main tables."""
    row = await tx.fetchrow(sql.counts)
    assert row is not None
    return Counts(**row)


async def bookings_without_timer(tx: Connection) -> list[BookingId]:
    """Return the bookings whose timer is missing."""
    return [row["id"] for row in await tx.fetch(sql.bookings_without_timer)]


async def journals_broken(tx: Connection) -> list[str]:
    """Return the subjects whose number of entries is wrong, as kind and id."""
    return [f"{row['kind']} {row['id']}" for row in await tx.fetch(sql.journals_broken)]


async def friends_miscounted(tx: Connection) -> list[str]:
    """Return the refs of friends whose counter of open jobs is wrong."""
    return [row["ref"] for row in await tx.fetch(sql.friends_miscounted)]


async def friends_without_point(tx: Connection) -> list[str]:
    """Return the refs of friends without a point."""
    return [row["ref"] for row in await tx.fetch(sql.friends_without_point)]


async def parked_messages(tx: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the messages that were given up, oldest first."""
    return [dict(row) for row in await tx.fetch(sql.parked_messages, limit)]


async def story(tx: Connection, booking_id: BookingId) -> Story:
    """Read the story of a booking: events, offers, timers and messages."""
    parts = {}
    for name in ("events", "offers", "timers", "messages"):
        block = sql.story if name == "events" else getattr(sql, f"{name}_of")
        parts[name] = [dict(row) for row in await tx.fetch(block, booking_id)]
    return Story(**parts)


async def refs(tx: Connection, ids: Iterable[FriendId | UUID]) -> Mapping[str, str]:
    """Return the refs of friends by their ids as text."""
    return {str(row["id"]): row["ref"] for row in await tx.fetch(sql.refs, list(set(ids)))}


async def ids_like(tx: Connection, kind: IdKind, digits: str) -> list[UUID]:
    """Return at most five ids of this kind that end or begin with these digits."""
    return [row["id"] for row in await tx.fetch(sql.ids_like, kind, digits)]
