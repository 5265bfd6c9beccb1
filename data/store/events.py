"""What has happened since somebody last looked, for streams; events are written by `jobs`."""

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
    """This text is not a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Which transactions were seen as committed at a moment, as PostgreSQL writes it.

    All below `xmin`, none from `xmax` on, and in between all but those that were `running`.
    """

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def read(cls, text: str) -> Self:
        """A snapshot from its text; raises InvalidSnapshot."""
        if not SNAPSHOT.fullmatch(text):
            raise InvalidSnapshot(text[:40])
        xmin, xmax, running = text.split(":")
        found = cls(
            xmin=int(xmin),
            xmax=int(xmax),
            running=frozenset(map(int, filter(None, running.split(",")))),
        )
        if not 0 < found.xmin <= found.xmax < 2**63:
            raise InvalidSnapshot(text[:40])
        return found

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, sorted(self.running)))}"

    def shows(self, xid: int) -> bool:
        """Whether what this transaction wrote was visible."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedEvent:
    """An event, the transaction that wrote it, and whose booking it is about."""

    event: Event
    xid: int
    partner_id: PartnerId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendOffer:
    """One friend asked about a booking: what he may see, and when his offer was closed."""

    friend_id: FriendId
    offer: OfferView
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """What was committed up to `mark`, in order per booking.

    `complete_from` is the first transaction of which nothing was left out; 0 when nothing was.
    """

    mark: Snapshot
    happened: Sequence[CommittedEvent]
    complete_from: int


@asynccontextmanager
async def dedicated_connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection kept out of the pool while somebody listens; each statement stands alone.

    Whoever looks fifty times a second must not queue behind those who book.
    """
    with translate_errors():
        connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=CONNECT_TIMEOUT_S)


async def events_since(tx: Connection, mark: Snapshot | None, limit: int) -> EventBatch:
    """The events committed since `mark`, at most the newest `limit`; without a mark none."""
    rows = await tx.fetch(sql.events_since, str(mark) if mark else None, limit)
    happened = [_committed_event(row) for row in rows if row["booking_id"] is not None]
    full = len(happened) == limit
    return EventBatch(
        mark=Snapshot.read(rows[0]["mark"]),
        happened=sorted(happened, key=_order),
        complete_from=min(one.xid for one in happened) + 1 if full else 0,
    )


async def offers_of(
    tx: Connection, bookings: Collection[BookingId]
) -> Mapping[BookingId, Sequence[FriendOffer]]:
    """Every offer there ever was for these bookings, as the friends asked may see it."""
    asked: defaultdict[BookingId, list[FriendOffer]] = defaultdict(list)
    if bookings:
        for row in await tx.fetch(sql.offers_of, bookings):
            asked[row["booking_id"]].append(_friend_offer(row))
    return asked


async def valid_credentials(tx: Connection, secrets_sha256: Collection[bytes]) -> set[bytes]:
    """Which of these hashes are of sessions and partner keys that are still good."""
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
