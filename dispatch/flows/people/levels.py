"""Levels of friends: looked at once a month by a rule, and set or held by operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from data.db import Connection, moment, transaction
from data.records import subjects
from data.records.ids import FriendId, PersonId
from data.records.levels import LevelMove, LevelRecord, LevelStanding
from data.store import desk, policies
from data.store import levels as store
from dispatch.flows import journal
from dispatch.flows.people.friends import refresh_and_retry
from dispatch.rules.journal import Happening
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.levels import Working, assess, next_level
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

SYSTEM: Final = "system"
PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelOf:
    """A friend's level with the working as of now, and the moves of the past, newest first."""

    standing: LevelStanding
    working: Working
    moves: tuple[LevelMove, ...]


async def move_due(rt: Runtime) -> int:
    """Look at the levels of at most two hundred friends that are due; returns how many."""
    async with transaction(rt.pool) as tx:
        due = await store.lock_due(tx, PAGE)
        if not due:
            return 0
        now = await moment(tx)
        records = await _records(rt, tx, [*due], now)
        levels = {
            one: next_level(level, assess(records[one], rt.policy), rt.policy)
            for one, level in due.items()
        }
        await store.put(tx, levels, now + rt.policy.level_every)
        moved = {one: due[one] for one, level in levels.items() if level != due[one]}
        for one, before in moved.items():
            await _move(rt, tx, one, (before, levels[one]), records[one])
    if moved:
        await refresh_and_retry(rt, {*moved})
    return len(due)


async def _records(
    rt: Runtime, tx: Connection, friends: list[FriendId], now: datetime
) -> dict[FriendId, LevelRecord]:
    since = now - rt.policy.level_window
    return {**await store.records(tx, friends, since, rt.policy.level_prompt_within)}


async def _move(
    rt: Runtime, tx: Connection, one: FriendId, levels: tuple[int, int], record: LevelRecord
) -> None:
    before, after = levels
    await _append(rt, tx, one, levels, record)
    happening = Happening(
        subjects.person(one), "friend.level_moved", {"level_before": before, "level": after}
    )
    await journal.record(tx, happening, actor=SYSTEM)


async def _append(
    rt: Runtime,
    tx: Connection,
    one: FriendId,
    levels: tuple[int, int],
    record: LevelRecord,
    *,
    held: bool = False,
    set_by: PersonId | None = None,
) -> None:
    policy = rt.policy
    await policies.keep(tx, policy.fingerprint, policy.version, policy.numbers)
    move = LevelMove(
        at=await moment(tx),
        before=levels[0],
        after=levels[1],
        held=held,
        points=assess(record, policy).points,
        by_rule=set_by is None,
    )
    await store.append(tx, one, move, record, policy_id=policy.fingerprint, set_by=set_by)


async def level_of(rt: Runtime, friend_id: FriendId) -> LevelOf:
    """The level of a friend with the working. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        standing = await store.standing(tx, friend_id)
        if standing is None:
            raise NotFound("there is no such friend")
        records = await _records(rt, tx, [friend_id], await moment(tx))
        moves = await store.moves(tx, friend_id)
    working = assess(records[friend_id], rt.policy)
    return LevelOf(standing=standing, working=working, moves=moves)


async def set_level(
    rt: Runtime, friend_id: FriendId, level: int, *, held: bool, reason: str, by: PersonId
) -> None:
    """Set a friend's level for the desk; while `held` no rule moves it.

    The reason is kept with the friend's notes. Raises NotFound, NotesFull.
    """
    async with transaction(rt.pool) as tx:
        before = await store.lock(tx, friend_id)
        if before is None:
            raise NotFound("there is no such friend")
        if (before.level, before.held) == (level, held):
            return
        now = await moment(tx)
        records = await _records(rt, tx, [friend_id], now)
        after = LevelStanding(level=level, held=held, due_at=now + rt.policy.level_every)
        await store.set_level(tx, friend_id, after)
        record = records[friend_id]
        await _append(rt, tx, friend_id, (before.level, level), record, held=held, set_by=by)
        data = {"level_before": before.level, "level": level, "held": held}
        happening = Happening(subjects.person(friend_id), "friend.level_set", data)
        await journal.record(tx, happening, actor=f"operator:{by}")
        if await desk.add_friend_note(tx, friend_id, by, reason) is None:
            raise NotesFull("reason")
    await refresh_and_retry(rt, {friend_id})
