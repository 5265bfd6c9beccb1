"""Parts of a friend's profile that are not in its row."""

from __future__ import annotations

from data.db import moment, transaction
from data.records.ids import FriendId
from data.records.people import HeldCertificate
from data.store import friends
from dispatch.runtime import Runtime


async def certificates(rt: Runtime, friend_id: FriendId) -> tuple[HeldCertificate, ...]:
    """The certificates a friend holds, including expired ones."""
    async with transaction(rt.pool) as tx:
        rows = await friends.facts(tx, [friend_id], await moment(tx))
    return rows[friend_id].certificates if friend_id in rows else ()
