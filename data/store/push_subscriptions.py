"""Push subscriptions of friends, one per phone (RFC 8030, RFC 8291)."""

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
from data.records.people import Plan, QuietHours
from data.store.friends import plan

sql = sql_loader.load("push_subscriptions")


class PhoneProblem(StrEnum):
    """Why a push failed: the subscription is gone, the service refused it or did not answer."""

    GONE = "gone"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSubscription:
    """The endpoint and keys of a phone; `p256dh` is an uncompressed point of P-256."""

    id: UUID
    endpoint: str
    p256dh: bytes
    auth: bytes
    added_at: datetime
    rung_at: datetime | None
    problem: PhoneProblem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendStatus:
    """The facts that may prevent offers to a friend, whatever the booking."""

    now: datetime
    state: FriendState
    market: Market
    language: Language
    quiet: QuietHours | None
    plan: Plan | None
    open_jobs: int
    capacity: int
    placed: bool
    certified: bool


async def put(
    tx: Connection,
    subscription_id: UUID,
    friend_id: FriendId,
    *,
    endpoint: str,
    p256dh: bytes,
    auth: bytes,
    limit: int,
) -> datetime:
    """Register a phone for this friend only; beyond `limit` phones the oldest is deleted."""
    await tx.execute(sql.take_over, endpoint, friend_id)
    row = await tx.fetchrow(sql.put, subscription_id, friend_id, endpoint, p256dh, auth)
    assert row is not None
    await tx.execute(sql.drop_oldest, friend_id, row["id"], limit)
    added_at: datetime = row["created_at"]
    return added_at


async def drop(tx: Connection, friend_id: FriendId, endpoint: str) -> None:
    """Delete a subscription of this friend, if it exists."""
    await tx.execute(sql.drop, friend_id, endpoint)


async def subscriptions_of(tx: Connection, friend_id: FriendId) -> list[PushSubscription]:
    """Return the subscriptions of a friend, oldest first."""
    return [push_subscription(row) for row in await tx.fetch(sql.subscriptions_of, friend_id)]


async def mark_pushed(tx: Connection, friend_id: FriendId) -> None:
    """Record a push to all phones of a friend now."""
    await tx.execute(sql.mark_pushed, friend_id)


async def confirm(tx: Connection, friend_id: FriendId) -> None:
    """Record that the phones of a friend which were rung have been heard."""
    await tx.execute(sql.confirm, friend_id)


async def alarms(tx: Connection, friend_id: FriendId) -> list[bool]:
    """Return for each phone of a friend whether its ring was confirmed and it works since."""
    return [row["confirmed"] for row in await tx.fetch(sql.alarms, friend_id)]


async def settle(
    tx: Connection, gone: Sequence[UUID], others: Sequence[tuple[UUID, PhoneProblem | None]]
) -> None:
    """Delete the subscriptions that are gone and record the results of the others."""
    if gone:
        await tx.execute(sql.delete_gone, gone)
    if others:
        ids, problems = zip(*others, strict=True)
        await tx.execute(sql.record_results, ids, problems)


async def friend_status(tx: Connection, friend_id: FriendId) -> FriendStatus | None:
    """Read these facts of a friend; None if there is no such friend."""
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
        plan=plan(row),
        open_jobs=row["open_jobs"],
        capacity=row["capacity"],
        placed=row["placed"],
        certified=row["certified"],
    )


def push_subscription(row: asyncpg.Record | Mapping[str, Any]) -> PushSubscription:
    """Build a subscription from its row."""
    return PushSubscription(
        id=row["id"],
        endpoint=row["endpoint"],
        p256dh=row["p256dh"],
        auth=row["auth"],
        added_at=row["created_at"],
        rung_at=row["rung_at"],
        problem=PhoneProblem(row["problem"]) if row["problem"] else None,
    )
