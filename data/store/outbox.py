"""The outbox: messages are claimed under a lease and then settled."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import Audience, Channel, SubjectKind
from data.records import subjects
from data.records.ids import MessageId
from data.records.messages import Message
from data.records.subjects import Subject

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
    """A message claimed until its lease ends; `tries` includes this attempt.

    `is_expired` tells that it expired before this attempt.
    """

    message: Message
    tries: int
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOutcome:
    """The result of an attempt; one still pending is due again after `retry_after_s` seconds."""

    id: UUID
    tries: int
    state: MessageState
    problem: str | None = None
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The backlog in rows (counted up to ten thousand) and in seconds of the trade."""

    pending: int
    parked: int
    pending_late_s: float
    overdue: int
    overdue_s: float
    errands_pending: int = 0
    errands_parked: int = 0
    errands_late_s: float = 0.0
    notices_pending: int = 0


async def claim(
    tx: Connection, limit: int, *, lease_s: float, busy: Collection[UUID]
) -> list[ClaimedMessage]:
    """Claim at most `limit` due messages for `lease_s`, none for a recipient in `busy`."""
    if limit < 1:
        return []
    rows = await tx.fetch(sql.claim, limit, lease_s, list(busy))
    return [
        ClaimedMessage(message=_message(r), tries=r["attempts"], is_expired=r["late"]) for r in rows
    ]


async def settle(tx: Connection, outcomes: Sequence[DeliveryOutcome]) -> None:
    """Write the results of claimed messages. Idempotent."""
    if outcomes:
        await tx.execute(sql.settle, *outcome_columns(outcomes))


def outcome_columns(outcomes: Sequence[DeliveryOutcome]) -> tuple[list[object], ...]:
    """The results of attempts as the arguments of `settle`."""
    return (
        [o.id for o in outcomes],
        [o.tries for o in outcomes],
        [o.state for o in outcomes],
        [o.problem[:PROBLEM_LONGEST] if o.problem else None for o in outcomes],
        [o.retry_after_s for o in outcomes],
    )


async def unpark(tx: Connection, message_id: MessageId) -> Subject | None:
    """Reset a parked message to its first attempt; return its subject, None if it is not parked."""
    row = await tx.fetchrow(sql.unpark, message_id)
    return _subject(row) if row else None


async def backlog(tx: Connection) -> Backlog:
    """Read the backlog of messages and timers."""
    row = await tx.fetchrow(sql.backlog, COUNTED_MAX)
    assert row is not None
    return Backlog(
        pending=row["pending"],
        parked=row["parked"],
        pending_late_s=row["pending_late_s"] or 0.0,
        overdue=row["overdue"],
        overdue_s=row["overdue_s"] or 0.0,
        errands_pending=row["errands_pending"],
        errands_parked=row["errands_parked"],
        errands_late_s=row["errands_late_s"] or 0.0,
        notices_pending=row["notices_pending"],
    )


def _subject(row: asyncpg.Record) -> Subject:
    if row["booking_id"] is not None:
        return subjects.booking(row["booking_id"])
    return Subject(SubjectKind(row["subject_kind"]), row["subject_id"])


def _message(row: asyncpg.Record) -> Message:
    return Message(
        id=MessageId(row["id"]),
        subject=_subject(row),
        seq=row["seq"],
        channel=Channel(row["channel"]),
        audience=Audience(row["audience"]),
        recipient_id=row["recipient_id"],
        template=row["template"],
        data=row["data"],
        expires_at=row["expires_at"],
    )
