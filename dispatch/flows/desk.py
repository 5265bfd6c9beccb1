"""Reads and notes of the desk; reading personal data is recorded in the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from unicodedata import normalize
from uuid import UUID

from data.db import Connection, moment, transaction
from data.enums import BookingState
from data.markets import Market
from data.records import subjects
from data.records.ids import BookingId, FriendId, PersonId
from data.records.people import Friend
from data.records.subjects import Subject
from data.store import audit, desk, friends, jobs, journal, read_models
from data.store.desk import Position, Queue, Row
from data.store.read_models import BookingView
from dispatch.rules.jobs.matching import Nearby, booking_reference_point
from dispatch.rules.jobs.nearby import NearbyFriend, classify_nearby
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.phone_search import split_phone
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime
from geo.point import Point, distance_m

DUE_SOON: Final = timedelta(hours=4)
JOBS_LISTED: Final = 20
ALL_RECORDS: Final = "desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingDetails:
    """Everything about one booking; `names` are those of its operators and friends."""

    view: BookingView
    details: Row
    story: Mapping[str, list[Row]]
    names: Mapping[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendsNearby:
    """The friends near a booking, with their rows, and names and numbers, as of `now`."""

    nearby: Sequence[NearbyFriend]
    friends: Mapping[FriendId, Friend]
    contacts: Mapping[UUID, Row]
    now: datetime


async def queue_counts(rt: Runtime) -> dict[Queue, int]:
    """The length of each queue, counted up to COUNTED_MAX."""
    async with transaction(rt.pool) as tx:
        return {queue: len(await _in_queue(rt, tx, queue)) for queue in Queue}


async def _in_queue(rt: Runtime, tx: Connection, queue: Queue) -> list[UUID]:
    return await desk.bookings_in_queue(
        tx, queue, soon=DUE_SOON, agree_within=rt.policy.agree_within, limit=desk.COUNTED_MAX
    )


async def bookings(
    rt: Runtime,
    *,
    queue: Queue | None,
    state: BookingState | None,
    words: str | None,
    before: Position | None,
    limit: int,
    actor: str,
) -> list[Row]:
    """A page of bookings by queue, state and search words, the newest first."""
    among: set[UUID] | None = None
    async with transaction(rt.pool) as tx:
        if queue is not None:
            among = {*await _in_queue(rt, tx, queue)}
        if words:
            found = await desk.search(tx, _asked(words))
            among = {*found} if among is None else among.intersection(found)
        rows = await desk.page(tx, state=state, among=among, before=before, limit=limit)
        await _record_rows(tx, "bookings", rows, words, actor)
        return rows


async def numbers(rt: Runtime, timezone: str, market: Market | None) -> Row:
    """The figures of today."""
    async with transaction(rt.pool) as tx:
        return await desk.day_numbers(tx, timezone, market)


async def open_booking(rt: Runtime, booking_id: BookingId, *, actor: str) -> BookingDetails:
    """Everything about a booking; recorded in the audit. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        view, details = (
            await read_models.booking(tx, booking_id),
            await desk.booking_details(tx, booking_id),
        )
        if view is None or details is None:
            raise NotFound("there is no such booking")
        await desk.record_access(
            tx, actor=actor, act="booking.opened", subject=subjects.booking(booking_id)
        )
        story = await desk.story(tx, booking_id)
        return BookingDetails(
            view=view, details=details, story=story, names=await _names(tx, details)
        )


async def record_seen(
    rt: Runtime, act: str, *, actor: str, subject: audit.About = ALL_RECORDS
) -> None:
    """Record that an operator has seen the data of people."""
    async with transaction(rt.pool) as tx:
        await desk.record_access(tx, actor=actor, act=act, subject=subject)


async def add_note(
    rt: Runtime, booking_id: BookingId, text: str, *, by: PersonId, actor: str
) -> tuple[list[Row], Mapping[UUID, str]]:
    """Add a note to a booking; returns all notes and their authors' names. Raises NotesFull."""
    async with transaction(rt.pool) as tx:
        notes = await desk.add_booking_note(tx, booking_id, by, text)
        if notes is None:
            if await read_models.owner(tx, booking_id) is None:
                raise NotFound("there is no such booking")
            raise NotesFull("text")
        await audit.record(
            tx, actor=actor, act="booking.noted", subject=subjects.booking(booking_id)
        )
        return notes, await _names(tx, {"desk_notes": notes})


async def friends_nearby(
    rt: Runtime, booking_id: BookingId, *, limit: int, actor: str
) -> FriendsNearby:
    """The friends near a booking, each with one outcome as of now; nothing is locked or decided.

    They are found by the index; their outcomes come from their rows.
    """
    async with transaction(rt.pool) as tx:
        job = await jobs.read(tx, booking_id, rt.catalogue)
        if job is None:
            raise NotFound("there is no such booking")
        await desk.record_access(
            tx, actor=actor, act="booking.opened", subject=subjects.booking(booking_id)
        )
        now = await moment(tx)
        here = booking_reference_point(job.booking, rt.policy)
        ids = [one.friend_id for one in rt.index.nearest_any(here, limit)]
        rows = await friends.current(tx, ids, now, rt.index.get)
        contacts = await desk.contacts(tx, rows)
    nearby = [Nearby(one, distance_m(here, Point(one.lat, one.lon))) for one in rows.values()]
    found = classify_nearby(job, nearby, now, rt.policy)
    return FriendsNearby(nearby=found, friends=rows, contacts=contacts, now=now)


async def map_bookings(rt: Runtime, *, actor: str) -> tuple[list[Row], datetime]:
    """The bookings of the map with their points, and the time of reading."""
    async with transaction(rt.pool) as tx:
        await desk.record_access(tx, actor=actor, act="map.opened", subject=ALL_RECORDS)
        return await desk.map_bookings(tx), await moment(tx)


async def messages(rt: Runtime, state: str, *, after: Position | None, limit: int) -> list[Row]:
    """A page of parked or pending messages, the longest waiting first."""
    async with transaction(rt.pool) as tx:
        return await desk.messages(tx, state, after=after, limit=limit)


async def friend_rows(
    rt: Runtime, *, state: str | None, words: str | None, after: str, limit: int, actor: str
) -> list[Row]:
    """A page of friends by state and search words, in the order of their refs."""
    async with transaction(rt.pool) as tx:
        among = await desk.search_friends(tx, _asked(words)) if words else None
        rows = await desk.friends(tx, state=state, among=among, after=after, limit=limit)
        await _record_rows(tx, "friends", rows, words, actor)
        return rows


async def open_friend(
    rt: Runtime, friend_id: FriendId, *, actor: str
) -> tuple[Row, Mapping[UUID, str]]:
    """A friend and the names of their notes' authors; recorded in the audit. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        row = await desk.friend(tx, friend_id, jobs=JOBS_LISTED)
        if row is None:
            raise NotFound("there is no such friend")
        await desk.record_access(
            tx, actor=actor, act="friend.opened", subject=subjects.person(friend_id)
        )
        return row, await _names(tx, row)


async def read_journal(
    rt: Runtime, subject: Subject, *, before: int | None, limit: int, actor: str
) -> list[Row]:
    """A page of a person's or partner's journal, newest first; recorded in the audit.

    Raises NotFound.
    """
    async with transaction(rt.pool) as tx:
        if not await journal.exists(tx, subject):
            raise NotFound(f"there is no such {subject.kind}")
        await desk.record_access(tx, actor=actor, act="journal.opened", subject=subject)
        return await journal.page(tx, subject, before=before, limit=limit)


def _asked(words: str) -> desk.Asked:
    whole = normalize("NFC", words)
    return desk.Asked(whole, *split_phone(whole))


async def _record_rows(
    tx: Connection, what: str, rows: Sequence[Row], words: str | None, actor: str
) -> None:
    """Record a list once in ten minutes, but every search, with what it found."""
    if words is None:
        await desk.record_access(tx, actor=actor, act=f"{what}.listed", subject=ALL_RECORDS)
        return
    data = {"found": [str(row["id"]) for row in rows]}
    await audit.record(tx, actor=actor, act=f"{what}.searched", subject=ALL_RECORDS, data=data)


async def _names(tx: Connection, row: Mapping[str, Any]) -> Mapping[UUID, str]:
    return await desk.names(tx, [UUID(one["by"]) for one in row["desk_notes"]])
