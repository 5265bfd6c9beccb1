"""Levels of friends: what counts for them, and every move."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.records.ids import FriendId, PersonId
from data.records.levels import LevelMove, LevelRecord, LevelStanding

sql = sql_loader.load("levels")

COUNTS = [one.name for one in fields(LevelRecord)]


async def lock_due(tx: Connection, limit: int) -> dict[FriendId, int]:
    """Lock at most `limit` friends whose level is to be looked at; return their levels."""
    return {FriendId(row["id"]): row["level"] for row in await tx.fetch(sql.lock_due, limit)}


async def lock(tx: Connection, friend_id: FriendId) -> LevelStanding | None:
    """Lock a friend, and return the level; None for an applicant or nobody."""
    return _standing(await tx.fetchrow(sql.lock, friend_id))


async def standing(tx: Connection, friend_id: FriendId) -> LevelStanding | None:
    """Return a friend's level."""
    return _standing(await tx.fetchrow(sql.standing, friend_id))


def _standing(row: asyncpg.Record | None) -> LevelStanding | None:
    if row is None:
        return None
    return LevelStanding(level=row["level"], held=row["level_held"], due_at=row["due_at"])


async def records(
    tx: Connection, friends: Collection[FriendId], since: datetime, prompt: timedelta
) -> Mapping[FriendId, LevelRecord]:
    """Return what each friend did since then; a contact is prompt within `prompt`."""
    rows = await tx.fetch(sql.records, list(friends), since, prompt)
    return {
        FriendId(row["friend_id"]): LevelRecord(**{name: row[name] for name in COUNTS})
        for row in rows
    }


async def moves(tx: Connection, friend_id: FriendId) -> tuple[LevelMove, ...]:
    """Return a friend's last moves, newest first."""
    return tuple(LevelMove(**row) for row in await tx.fetch(sql.moves, friend_id))


async def put(tx: Connection, levels: Mapping[FriendId, int], due_at: datetime) -> None:
    """Set the levels of these friends, and when to look at them next."""
    if levels:
        await tx.execute(sql.put, [*levels], [*levels.values()], due_at)


async def set_level(tx: Connection, friend_id: FriendId, now: LevelStanding) -> None:
    """Set a friend's level, whether it is held, and when to look at it next."""
    await tx.execute(sql.set, friend_id, now.level, now.held, now.due_at)


async def append(
    tx: Connection,
    friend_id: FriendId,
    move: LevelMove,
    record: LevelRecord,
    *,
    policy_id: UUID,
    set_by: PersonId | None,
) -> None:
    """Append a move of a friend whose row is locked, with the numbers it was made by."""
    made = (move.before, move.after, move.held, move.points)
    await tx.execute(sql.append, friend_id, *made, asdict(record), policy_id, set_by)
