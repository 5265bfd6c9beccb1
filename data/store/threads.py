"""Threads of customer and friend, and their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import Author
from data.records.ids import AwardId, BookingId, FriendId
from data.records.threads import Note, Thread

sql = sql_loader.load("threads")

INBOX_MAX = 100
DESK_MAX = 2_000
Row = tuple[Any, ...]


async def of_bookings(
    tx: Connection, bookings: Sequence[BookingId], within: timedelta
) -> Mapping[BookingId, tuple[Thread, Mapping[Author, int]]]:
    """Return the threads of the present awards, and what each side has written `within`."""
    return {
        BookingId(row["booking_id"]): (
            _thread(row),
            {
                Author.FRIEND: row["recent_of_friend"],
                Author.CUSTOMER: row["recent_of_customer"],
            },
        )
        for row in await tx.fetch(sql.of_bookings, bookings, within)
    }


async def of_award(tx: Connection, award_id: AwardId) -> Thread | None:
    """Return the thread of an award, None before the first message."""
    row = await tx.fetchrow(sql.of_award, award_id)
    return _thread(row) if row else None


async def notes(tx: Connection, award_id: AwardId, *, after: int, limit: int) -> list[Note]:
    """Return messages of a thread numbered above `after`."""
    return [_note(row) for row in await tx.fetch(sql.notes, award_id, after, limit)]


async def notes_of_booking(tx: Connection, booking_id: BookingId) -> list[tuple[Note, str]]:
    """Return the messages of all threads of a booking, each with the name of its friend."""
    rows = await tx.fetch(sql.notes_of_booking, booking_id, DESK_MAX)
    return [(_note(row), row["name"]) for row in rows]


async def inbox(
    tx: Connection, friend_id: FriendId, kept: timedelta
) -> list[tuple[Thread, Mapping[str, Any]]]:
    """Return a friend's threads of jobs that ended at most `kept` ago, with what each is about."""
    rows = await tx.fetch(sql.inbox, friend_id, kept, INBOX_MAX)
    return [(_thread(row), dict(row)) for row in rows]


async def empty_old(tx: Connection, kept: timedelta) -> int:
    """Empty messages of jobs that ended longer ago, a thousand at most; returns how many."""
    return len(await tx.fetch(sql.empty_old, kept))


def row(thread: Thread) -> Row:
    """A thread as a row."""
    return (
        *(thread.award_id, thread.booking_id, thread.first_by_friend, thread.by_friend),
        *(thread.by_customer, thread.read_by_friend, thread.read_by_customer),
        *(thread.letter_to_friend_at, thread.letter_to_customer_at),
    )


def note_row(note: Note) -> Row:
    """A message as a row."""
    return (note.award_id, note.seq, note.by, note.text, note.at)


def _thread(found: asyncpg.Record) -> Thread:
    return Thread(**{name: found[name] for name in Thread.__slots__})


def _note(found: asyncpg.Record) -> Note:
    return Note(
        award_id=AwardId(UUID(str(found["award_id"]))),
        seq=found["seq"],
        by=Author(found["by"]),
        text=found["text"],
        at=found["at"],
    )
