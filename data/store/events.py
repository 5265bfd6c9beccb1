"""Committed events since a snapshot, for streams; `jobs` writes them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import asyncpg

from data import sql_loader
from data.db import ACQUIRE_TIMEOUT_S, CONNECT_TIMEOUT_S, Connection, Pool, translate_errors
from data.records.ids import BookingId, FriendId, PartnerId
from data.records.messages import Event
from data.store.read_models import OfferView, offer

sql = sql_loader.load("events")

SNAPSHOT = re.compile(r"[0-9]{1,19}:[0-9]{1,19}:([0-9]{1,19}(,[0-9]{1,19}){0,199})?")


class InvalidSnapshot(ValueError):
    """The text is not a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The transactions visible at one time, in PostgreSQL's text form.

    All below `xmin`, none from `xmax` on, and in between all but those that were `running`.
    """

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a snapshot. Raises InvalidSnapshot."""
        if not SNAPSHOT.fullmatch(text):
            raise InvalidSnapshot(text[:40])
        xmin, xmax, running = text.split(":")
        snapshot = cls(
            xmin=int(xmin),
            xmax=int(xmax),
            running=frozenset(map(int, filter(None, running.split(",")))),
        )
        if not 0 < snapshot.xmin <= snapshot.xmax < 2**63:
            raise InvalidSnapshot(text[:40])
        return snapshot

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def includes(self, xid: int) -> bool:
        """Return whether the writes of this transaction were visible."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedEvent:
    """An event, its transaction, and the partner of its booking."""

    event: Event
    xid: int
    partner_id: PartnerId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendOffer:
    """An offer as its friend may see it, and when it was closed."""

    friend_id: FriendId
    offer: OfferView
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """The events committed up to `mark`, in order per booking.

    `complete_from` is the first transaction from which on no event was dropped; 0 if none was.
    """

    mark: Snapshot
    events: Sequence[CommittedEvent]
    complete_from: int


@asynccontextmanager
async def dedicated_connection(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection reserved for one task; each statement commits by itself.

    A stream that polls fifty times a second must not queue behind bookings.
    """
    with translate_errors():
        connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=CONNECT_TIMEOUT_S)


async def events_since(tx: Connection, mark: Snapshot | None, limit: int) -> EventBatch:
    """Return the events committed since `mark`, at most the newest `limit`; none without a mark."""
    rows = await tx.fetch(sql.events_since, str(mark) if mark else None, limit)
    events = [_committed_event(row) for row in rows if row["booking_id"] is not None]
    is_full = len(events) == limit
    return EventBatch(
        mark=Snapshot.parse(rows[0]["mark"]),
        events=sorted(events, key=_order),
        complete_from=min(one.xid for one in events) + 1 if is_full else 0,
    )


async def offers_of(
    tx: Connection, bookings: Collection[BookingId]
) -> Mapping[BookingId, Sequence[FriendOffer]]:
    """Return all offers of these bookings, as their friends may see them."""
    offers: defaultdict[BookingId, list[FriendOffer]] = defaultdict(list)
    if bookings:
        for row in await tx.fetch(sql.offers_of, bookings):
            offers[row["booking_id"]].append(_friend_offer(row))
    return offers


async def valid_credentials(tx: Connection, secrets_sha256: Collection[bytes]) -> set[bytes]:
    """Return the hashes that belong to valid sessions and partner keys."""
    return {row["secret"] for row in await tx.fetch(sql.valid_credentials, secrets_sha256)}


def _order(one: CommittedEvent) -> tuple[datetime, BookingId, int]:
    return one.event.at, one.event.booking_id, one.event.seq


def _committed_event(row: asyncpg.Record) -> CommittedEvent:
    event = Event(
        booking_id=BookingId(row["booking_id"]),
        seq=row["seq"],
        kind=row["kind"],
        at=row["at"],
        actor=row["actor"],
        data=row["data"],
    )
    return CommittedEvent(event=event, xid=int(row["xid"]), partner_id=row["partner_id"])


def _friend_offer(row: asyncpg.Record) -> FriendOffer:
    return FriendOffer(
        friend_id=FriendId(row["friend_id"]),
        answered_at=row["answered_at"],
        offer=offer(row),
    )
