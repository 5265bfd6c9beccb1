"""Friends are told before a certificate of theirs ends: by a timer, once for each certificate."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from data.db import Connection, ConstraintViolation, DatabaseError, moment, transaction
from data.records import subjects
from data.records.ids import FriendId
from data.store import certificates, friend_admin
from dispatch.flows import journal
from dispatch.rules.journal import Happening
from dispatch.rules.people.certificates import tell_endings
from dispatch.runtime import Runtime

log = logging.getLogger(__name__)

SYSTEM: Final = "system"
PAGE: Final = 1000


async def keep_timers(
    rt: Runtime, tx: Connection, friends: Collection[FriendId] | None = None
) -> int:
    """Set the timers that are missing, of `friends` or of at most a thousand of all.

    Returns how many.
    """
    before = rt.policy.certificate_told_before
    found = await certificates.without_timer(tx, friends, before, PAGE)
    await certificates.set_timers(tx, {one: until - before for one, until in found.items()})
    return len(found)


async def keep_all_timers(rt: Runtime) -> int:
    """Set at most a thousand timers of friends certified by an import or an older release."""
    async with transaction(rt.pool) as tx:
        return await keep_timers(rt, tx)


async def fire_due_timers(rt: Runtime, limit: int) -> int:
    """Tell at most `limit` friends of what ends soon; returns how many timers were acted on.

    A friend whose timer fails is postponed and does not block the others.
    """
    async with transaction(rt.pool) as tx:
        due = await certificates.due(tx, limit)
    acted = 0
    for friend_id in due:
        try:
            async with transaction(rt.pool) as tx:
                acted += await _fire(rt, tx, friend_id)
        except Exception as error:
            if isinstance(error, DatabaseError) and not isinstance(error, ConstraintViolation):
                raise
            log.exception("the timer of friend %s failed; it is postponed", friend_id)
            async with transaction(rt.pool) as tx:
                await certificates.postpone_timer(tx, friend_id)
    return acted


async def _fire(rt: Runtime, tx: Connection, friend_id: FriendId) -> bool:
    await friend_admin.lock_friend(tx, friend_id)
    if not await certificates.take_timer(tx, friend_id):
        return False
    held = await certificates.ending(tx, friend_id)
    told, following = tell_endings(held, await moment(tx), rt.policy)
    await certificates.mark_told(tx, friend_id, told)
    if following is not None:
        await certificates.set_timers(tx, {friend_id: following})
    happened = [
        Happening(
            subjects.person(friend_id),
            "certificate.ending",
            {"certificate": one.code, "until": one.until.isoformat()},
        )
        for one in told
    ]
    await journal.record(tx, *happened, actor=SYSTEM)
    return True
