"""Requests for human review and correction, and the timers by which the desk is reminded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.enums import OperatorRole
from data.records.ids import FriendId, PersonId
from data.records.review_requests import (
    ReviewOutcome,
    ReviewRequest,
    ReviewSubject,
    WaitingRequest,
)

sql = sql_loader.load("review_requests")


async def insert(
    tx: Connection, asked: ReviewRequest, within: timedelta, decisions: Sequence[str]
) -> ReviewRequest | None:
    """Insert a request from now on, due `within`; None where the same is asked already.

    `decisions` are the kinds of entries of the journal that tell who decided. Of `asked`, only id,
    friend, subject and text count.
    """
    head = (asked.id, asked.friend_id, asked.about, asked.text)
    row = await tx.fetchrow(sql.insert, *head, within, decisions)
    return None if row is None else _request(row)


async def of_friend(tx: Connection, friend_id: FriendId, limit: int) -> list[ReviewRequest]:
    """Return the requests of a friend, the newest first."""
    return [_request(row) for row in await tx.fetch(sql.of_friend, friend_id, limit)]


async def waiting(
    tx: Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[WaitingRequest]:
    """Return requests without an answer, the first due first, after this one."""
    rows = await tx.fetch(sql.waiting, *(after or (None, None)), limit)
    return [
        WaitingRequest(request=_request(row), friend_name=row["friend_name"], ref=row["ref"])
        for row in rows
    ]


async def friend_of(tx: Connection, id_: UUID) -> FriendId | None:
    """Return whose request this is; takes no lock."""
    found: FriendId | None = await tx.fetchval(sql.friend_of, id_)
    return found


async def lock(tx: Connection, id_: UUID) -> ReviewRequest:
    """Lock a request that exists."""
    return _request(await tx.fetchrow(sql.lock, id_))


async def answer(
    tx: Connection, id_: UUID, by: PersonId, outcome: ReviewOutcome, reasons: str
) -> None:
    """Write the answer of an operator."""
    await tx.execute(sql.answer, id_, by, outcome, reasons)


async def open_of(tx: Connection, friend_id: FriendId) -> list[ReviewRequest]:
    """Lock and return the requests of a friend without an answer."""
    return [_request(row) for row in await tx.fetch(sql.open_of, friend_id)]


async def mark_reminded(tx: Connection, requests: Collection[UUID]) -> None:
    """Record that the desk was reminded of these."""
    await tx.execute(sql.mark_reminded, requests)


async def set_timer(tx: Connection, friend_id: FriendId, due_at: datetime | None) -> None:
    """Set the timer of a friend's requests; None deletes it."""
    if due_at is None:
        await tx.execute(sql.delete_timer, friend_id)
    else:
        await tx.execute(sql.set_timer, friend_id, due_at)


async def due(tx: Connection, limit: int) -> list[FriendId]:
    """Return at most `limit` friends whose timer is due, longest due first; takes no lock."""
    return [FriendId(row["subject_id"]) for row in await tx.fetch(sql.due, limit)]


async def postpone_timer(tx: Connection, friend_id: FriendId) -> None:
    """Postpone the timer of a friend after a failure, longer each time."""
    await tx.execute(sql.postpone_timer, friend_id)


async def answerers(tx: Connection, roles: Collection[OperatorRole]) -> list[PersonId]:
    """Return the operators of these roles."""
    return [PersonId(row["id"]) for row in await tx.fetch(sql.answerers, list(roles))]


def _request(row: Any) -> ReviewRequest:
    fields = {name: row[name] for name in ReviewRequest.__dataclass_fields__}
    fields["about"] = ReviewSubject(row["about"])
    fields["outcome"] = row["outcome"] and ReviewOutcome(row["outcome"])
    return ReviewRequest(**fields)
