"""Phones that ring: the push subscriptions of friends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import FriendState
from data.markets import Language, Market
from data.records.ids import FriendId
from data.records.people import QuietHours

sql = sql_loader.load("push_subscriptions")


class PhoneProblem(StrEnum):
    """Why a phone did not ring: its service no longer knows it, will not, or did not answer."""

    GONE = "gone"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSubscription:
    """Where a phone is rung and with which keys; `p256dh` is an uncompressed point of P-256."""

    id: UUID
    endpoint: str
    p256dh: bytes
    auth: bytes
    added_at: datetime
    rung_at: datetime | None
    problem: PhoneProblem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendStatus:
    """What may keep a friend from being asked, whatever the booking."""

    now: datetime
    state: FriendState
    market: Market
    language: Language
    quiet: QuietHours | None
    open_jobs: int
    capacity: int
    placed: bool
    certified: bool


async def put(
    tx: Connection,
    phone_id: UUID,
    friend_id: FriendId,
    *,
    endpoint: str,
    p256dh: bytes,
    auth: bytes,
    most: int,
) -> datetime:
    """Let this phone ring for him and nobody else; of more than `most` the oldest goes."""
    await tx.execute(sql.take_over, endpoint, friend_id)
    row = await tx.fetchrow(sql.put, phone_id, friend_id, endpoint, p256dh, auth)
    assert row is not None
    await tx.execute(sql.drop_oldest, friend_id, row["id"], most)
    added_at: datetime = row["created_at"]
    return added_at


async def drop(tx: Connection, friend_id: FriendId, endpoint: str) -> None:
    """Ring this phone of his no more; nothing happens when it is not his."""
    await tx.execute(sql.drop, friend_id, endpoint)


async def subscriptions_of(tx: Connection, friend_id: FriendId) -> list[PushSubscription]:
    """His phones, the oldest first."""
    return [push_subscription(row) for row in await tx.fetch(sql.subscriptions_of, friend_id)]


async def mark_pushed(tx: Connection, friend_id: FriendId) -> None:
    """All his phones are rung at this moment."""
    await tx.execute(sql.mark_pushed, friend_id)


async def settle(
    tx: Connection, gone: Sequence[UUID], others: Sequence[tuple[UUID, PhoneProblem | None]]
) -> None:
    """Forget the phones that are gone, and write down how the others did."""
    if gone:
        await tx.execute(sql.delete_gone, gone)
    if others:
        await tx.execute(sql.record_results, [one for one, _ in others], [said for _, said in others])


async def friend_status(tx: Connection, friend_id: FriendId) -> FriendStatus | None:
    """What may keep this friend from being asked; None when there is no such friend."""
    row = await tx.fetchrow(sql.friend_status, friend_id)
    if row is None:
        return None
    quiet = None
    if row["quiet_from"] is not None:
        quiet = QuietHours(from_minute=row["quiet_from"], until_minute=row["quiet_until"])
    return FriendStatus(
        now=row["now"],
        state=FriendState(row["state"]),
        market=Market(row["market"]),
        language=Language(row["language"]),
        quiet=quiet,
        open_jobs=row["open_jobs"],
        capacity=row["capacity"],
        placed=row["placed"],
        certified=row["certified"],
    )


def push_subscription(row: asyncpg.Record | Mapping[str, Any]) -> PushSubscription:
    """A phone from its row."""
    return PushSubscription(
        id=row["id"],
        endpoint=row["endpoint"],
        p256dh=row["p256dh"],
        auth=row["auth"],
        added_at=row["created_at"],
        rung_at=row["rung_at"],
        problem=PhoneProblem(row["problem"]) if row["problem"] else None,
    )
