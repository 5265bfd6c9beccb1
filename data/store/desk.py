"""What the desk sees of bookings: queues, searches, one booking whole, the map, its own notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import BookingState
from data.markets import Market
from data.records.ids import BookingId, FriendId, PersonId

sql = sql_loader.load("desk")

Row = dict[str, Any]
Position = tuple[datetime, UUID]

COUNTED_MAX: Final = 10_000
FOUND_MAX: Final = 2_000
STORY_MAX: Final = 1_000
MAP_MAX: Final = 20_000
NOTES_MAX: Final = 200
END_OF_TIME: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))


class Queue(StrEnum):
    """What waits for a person at the desk."""

    UNFILLED = "unfilled"
    CONTACT_DUE_SOON = "contact_due_soon"
    MISSED = "missed"
    DISPUTED = "disputed"
    PARKED_MESSAGES = "parked_messages"
    UNSURE_ADDRESSES = "unsure_addresses"
    INCOMPLETE = "incomplete"


async def bookings_in_queue(
    tx: Connection, queue: Queue, *, soon: timedelta, limit: int
) -> list[UUID]:
    """The bookings that wait in a queue, at most `limit`; one for each of its parked messages.

    `soon` is how near a contact deadline must be to count.
    """
    args = (limit, soon) if queue is Queue.CONTACT_DUE_SOON else (limit,)
    return [row["id"] for row in await tx.fetch(getattr(sql, queue), *args)]


async def search(tx: Connection, words: str) -> list[BookingId]:
    """The newest bookings found by an id, a reference, a friend's ref or the customer's words."""
    rows = await tx.fetch(sql.search, words, parse_id(words), FOUND_MAX)
    return [BookingId(row["id"]) for row in rows]


async def page(
    tx: Connection,
    *,
    state: BookingState | None,
    among: Iterable[UUID] | None,
    before: Position | None,
    limit: int,
) -> list[Row]:
    """A page of bookings with their friends and customers, the newest first."""
    at, last = before or END_OF_TIME
    if among is not None:
        found = await tx.fetch(sql.page_among, at, last, limit, list(among), state)
    elif state is None:
        found = await tx.fetch(sql.page, at, last, limit)
    elif state is BookingState.COMPLETED:
        found = await tx.fetch(sql.page_completed, at, last, limit)
    else:
        found = await tx.fetch(sql.page_in_state, at, last, limit, state)
    rows = await tx.fetch(sql.rows, [row["id"] for row in found]) if found else []
    return [dict(row) for row in rows]


async def day_numbers(tx: Connection, timezone: str, market: Market | None) -> Row:
    """What has happened since midnight in a time zone, and the offers that live now."""
    row = await tx.fetchrow(sql.day_numbers, timezone, market)
    assert row is not None
    return {**row, "live_offers": await tx.fetchval(sql.live_offers, market)}


async def booking_details(tx: Connection, booking_id: BookingId) -> Row | None:
    """What of a booking only the desk may know; None when there is none."""
    row = await tx.fetchrow(sql.booking_details, booking_id)
    return dict(row) if row else None


async def story(tx: Connection, booking_id: BookingId) -> Mapping[str, list[Row]]:
    """The events, offers and awards of a booking, each in its order."""
    blocks = {"events": sql.events_of, "offers": sql.offers_of, "awards": sql.awards_of}
    return {
        name: [dict(row) for row in await tx.fetch(block, booking_id, STORY_MAX)]
        for name, block in blocks.items()
    }


async def names(tx: Connection, people: Iterable[UUID]) -> Mapping[UUID, str]:
    """How these people are called."""
    rows = await tx.fetch(sql.names, list(set(people)))
    return {row["id"]: row["name"] for row in rows}


async def add_booking_note(
    tx: Connection, booking_id: BookingId, by: PersonId, text: str
) -> list[Row] | None:
    """Add a note about a booking and return all; None when there are too many, or no booking."""
    notes: list[Row] | None = await tx.fetchval(sql.add_booking_note, booking_id, by, text, NOTES_MAX)
    return notes


async def add_friend_note(
    tx: Connection, friend_id: FriendId, by: PersonId, text: str
) -> list[Row] | None:
    """Add a note about a friend and return all; None when there are too many, or no friend."""
    notes: list[Row] | None = await tx.fetchval(sql.add_friend_note, friend_id, by, text, NOTES_MAX)
    return notes


async def record_access(tx: Connection, *, actor: str, act: str, subject: str) -> None:
    """Write down that somebody looked at personal data, once in ten minutes."""
    await tx.execute(sql.record_access, actor, act, subject)


async def map_bookings(tx: Connection) -> list[Row]:
    """The bookings under way or of the last seven days, with their points."""
    return [dict(row) for row in await tx.fetch(sql.map_bookings, MAP_MAX)]


async def messages(tx: Connection, state: str, *, after: Position | None, limit: int) -> list[Row]:
    """A page of parked or pending messages, the longest waiting first."""
    at, last = after or (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
    return [dict(row) for row in await tx.fetch(sql.messages, state, at, last, limit)]


async def friends(
    tx: Connection,
    *,
    state: str | None,
    among: Sequence[FriendId] | None,
    after: str,
    limit: int,
) -> list[Row]:
    """A page of friends in the order of their refs."""
    if among is None:
        rows = await tx.fetch(sql.friends, after, state, limit)
    else:
        rows = await tx.fetch(sql.friends_among, after, state, limit, among)
    return [dict(row) for row in rows]


async def search_friends(tx: Connection, words: str) -> list[FriendId]:
    """Friends found by an id, the beginning of a ref, or the words of what is known of them."""
    rows = await tx.fetch(sql.search_friends, words, parse_id(words), FOUND_MAX)
    return [FriendId(row["id"]) for row in rows]


async def friend(tx: Connection, friend_id: FriendId, *, jobs: int) -> Row | None:
    """A friend whole, with his certificates and his last `jobs` jobs."""
    row = await tx.fetchrow(sql.friend, friend_id)
    if row is None:
        return None
    held = await tx.fetch(sql.certificates_of, friend_id)
    done = await tx.fetch(sql.jobs_of, friend_id, jobs)
    return {**row, "certificates": [*map(dict, held)], "jobs": [*map(dict, done)]}


def parse_id(words: str) -> UUID | None:
    """The id that somebody typed, if it is one."""
    try:
        return UUID(words.strip())
    except ValueError:
        return None
