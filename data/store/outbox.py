"""Messages on their way out: claimed for a while, then settled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import Audience, Channel
from data.records.ids import BookingId, MessageId
from data.records.messages import Message

sql = sql_loader.load("messages")

PROBLEM_LONGEST = 500
COUNTED_MAX = 10_000


class MessageState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    PARKED = "parked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedMessage:
    """A message that is ours until its lease ends; `tries` counts this one too.

    `late` says that it ran out before anybody could send it.
    """

    message: Message
    tries: int
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """What became of a claimed message; pending again after `again_s` seconds when it shall be."""

    id: MessageId
    tries: int
    state: MessageState
    problem: str | None = None
    again_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits, in rows (counted to ten thousand) and in seconds of the trade."""

    pending: int
    parked: int
    pending_late_s: float
    overdue: int
    overdue_s: float


async def claim(
    tx: Connection, limit: int, *, lease_s: float, busy: Collection[UUID]
) -> list[ClaimedMessage]:
    """Claim at most `limit` due messages for `lease_s`, none of them for a reader in `busy`."""
    if limit < 1:
        return []
    rows = await tx.fetch(sql.claim, limit, lease_s, list(busy))
    return [ClaimedMessage(message=_message(r), tries=r["attempts"], late=r["late"]) for r in rows]


async def settle(tx: Connection, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Write what became of claimed messages; repeating it changes nothing."""
    if outcomes:
        await tx.execute(
            sql.settle,
            [o.id for o in outcomes],
            [o.tries for o in outcomes],
            [o.state for o in outcomes],
            [o.problem[:PROBLEM_LONGEST] if o.problem else None for o in outcomes],
            [o.again_s for o in outcomes],
        )


async def unpark(tx: Connection, message_id: MessageId) -> bool:
    """Let a parked message be tried anew, from the first try; False when it is not parked."""
    return await tx.fetchval(sql.unpark, message_id) is not None


async def backlog(tx: Connection) -> Backlog:
    """What waits to be sent and to be rung."""
    row = await tx.fetchrow(sql.backlog, COUNTED_MAX)
    assert row is not None
    return Backlog(
        pending=row["pending"],
        parked=row["parked"],
        pending_late_s=row["pending_late_s"] or 0.0,
        overdue=row["overdue"],
        overdue_s=row["overdue_s"] or 0.0,
    )


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=MessageId(row["id"]),
        booking_id=BookingId(row["booking_id"]),
        seq=row["seq"],
        channel=Channel(row["channel"]),
        audience=Audience(row["audience"]),
        recipient_id=row["recipient_id"],
        template=row["template"],
        data=row["data"],
        expires_at=row["expires_at"],
    )
