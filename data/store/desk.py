"""Reads for the desk: queues, searches, single bookings and friends, the map, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import BookingState
from data.markets import Market
from data.records.ids import BookingId, FriendId, PersonId
from data.store.audit import About, subject_columns

sql = sql_loader.load("desk")

Row = dict[str, Any]
Position = tuple[datetime, UUID]

COUNTED_MAX: Final = 10_000
FOUND_MAX: Final = 2_000
STORY_MAX: Final = 1_000
MAP_MAX: Final = 20_000
NOTES_MAX: Final = 200
END_OF_TIME: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the desk searches for: the whole text, its words, and how its phone number may begin.

    `phone` are digits of E.164 numbers without the plus, any of which will do; `words` are without
    that number.
    """

    whole: str
    words: str
    phone: frozenset[str]


class Queue(StrEnum):
    """The work lists of the desk."""

    UNFILLED = "unfilled"
    CONTACT_DUE_SOON = "contact_due_soon"
    MISSED = "missed"
    DISPUTED = "disputed"
    NOTHING_AGREED = "nothing_agreed"
    HAND_BACKS = "hand_backs"
    CONTESTED = "contested"
    PARKED_MESSAGES = "parked_messages"
    UNSURE_ADDRESSES = "unsure_addresses"
    INCOMPLETE = "incomplete"


async def bookings_in_queue(
    tx: Connection, queue: Queue, *, soon: timedelta, agree_within: timedelta, limit: int
) -> list[UUID]:
    """Return at most `limit` bookings of a queue; a booking once per parked message.

    `soon` is the time before a contact deadline that counts as due soon, `agree_within` the time
    after contact by which an appointment is expected.
    """
    spans = {Queue.CONTACT_DUE_SOON: (soon,), Queue.NOTHING_AGREED: (agree_within,)}
    rows = await tx.fetch(getattr(sql, queue), limit, *spans.get(queue, ()))
    return [row["id"] for row in rows]


async def search(tx: Connection, asked: Asked) -> list[BookingId]:
    """Find the newest bookings by id, reference, a friend's ref or words of the customer's data."""
    rows = await tx.fetch(sql.search, *await _search_arguments(tx, asked))
    return [BookingId(row["id"]) for row in rows]


async def page(
    tx: Connection,
    *,
    state: BookingState | None,
    among: Iterable[UUID] | None,
    before: Position | None,
    limit: int,
) -> list[Row]:
    """Return a page of bookings with their friends and customers, newest first."""
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
    """Count the events since midnight in a time zone and the live offers."""
    row = await tx.fetchrow(sql.day_numbers, timezone, market)
    assert row is not None
    return {**row, "live_offers": await tx.fetchval(sql.live_offers, market)}


async def booking_details(tx: Connection, booking_id: BookingId) -> Row | None:
    """Return the data of a booking that only the desk may see; None if there is no such booking."""
    row = await tx.fetchrow(sql.booking_details, booking_id)
    return dict(row) if row else None


async def story(tx: Connection, booking_id: BookingId) -> Mapping[str, list[Row]]:
    """Return the events, offers and awards of a booking, each in order."""
    blocks = {"events": sql.events_of, "offers": sql.offers_of, "awards": sql.awards_of}
    return {
        name: [dict(row) for row in await tx.fetch(block, booking_id, STORY_MAX)]
        for name, block in blocks.items()
    }


async def names(tx: Connection, people: Iterable[UUID]) -> Mapping[UUID, str]:
    """Return the names of people by id."""
    rows = await tx.fetch(sql.names, list(set(people)))
    return {row["id"]: row["name"] for row in rows}


async def contacts(tx: Connection, friends: Iterable[UUID]) -> Mapping[UUID, Row]:
    """Return the name, telephone number and ratings of friends by id."""
    rows = await tx.fetch(sql.contacts, list(set(friends)))
    return {row["id"]: dict(row) for row in rows}


async def add_booking_note(
    tx: Connection, booking_id: BookingId, by: PersonId, text: str
) -> list[Row] | None:
    """Add a note to a booking and return all notes; None if there are too many or no booking."""
    notes: list[Row] | None = await tx.fetchval(
        sql.add_booking_note, booking_id, by, text, NOTES_MAX
    )
    return notes


async def add_friend_note(
    tx: Connection, friend_id: FriendId, by: PersonId, text: str
) -> list[Row] | None:
    """Add a note to a friend and return all notes; None if there are too many or no friend."""
    notes: list[Row] | None = await tx.fetchval(sql.add_friend_note, friend_id, by, text, NOTES_MAX)
    return notes


async def record_access(tx: Connection, *, actor: str, act: str, subject: About) -> None:
    """Record an access to personal data in the audit log, at most once in ten minutes."""
    kind, name = subject_columns(subject)
    await tx.execute(sql.record_access, actor, act, name, kind)


async def map_bookings(tx: Connection) -> list[Row]:
    """Return the unfinished bookings and those of the last seven days, with their points."""
    return [dict(row) for row in await tx.fetch(sql.map_bookings, MAP_MAX)]


async def messages(tx: Connection, state: str, *, after: Position | None, limit: int) -> list[Row]:
    """Return a page of parked or pending messages, the longest waiting first."""
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
    """Return a page of friends, ordered by ref."""
    if among is None:
        rows = await tx.fetch(sql.friends, after, state, limit)
    else:
        rows = await tx.fetch(sql.friends_among, after, state, limit, among)
    return [dict(row) for row in rows]


async def search_friends(tx: Connection, asked: Asked) -> list[FriendId]:
    """Find friends by id, prefix of the ref, or words of their data."""
    rows = await tx.fetch(sql.search_friends, *await _search_arguments(tx, asked))
    return [FriendId(row["id"]) for row in rows]


async def _search_arguments(tx: Connection, asked: Asked) -> tuple[Any, ...]:
    terms = await tx.fetchval(sql.search_terms, asked.words, list(asked.phone))
    return asked.whole, parse_id(asked.whole), FOUND_MAX, terms


async def friend(tx: Connection, friend_id: FriendId, *, jobs: int) -> Row | None:
    """Return a friend with all certificates and the last `jobs` jobs."""
    row = await tx.fetchrow(sql.friend, friend_id)
    if row is None:
        return None
    held = await tx.fetch(sql.certificates_of, friend_id)
    done = await tx.fetch(sql.jobs_of, friend_id, jobs)
    return {**row, "certificates": [*map(dict, held)], "jobs": [*map(dict, done)]}


def parse_id(words: str) -> UUID | None:
    """Return the id in a search text, if it is one."""
    try:
        return UUID(words.strip())
    except ValueError:
        return None
