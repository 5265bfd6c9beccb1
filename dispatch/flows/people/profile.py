"""Parts of a friend's profile that are not in its row."""

from __future__ import annotations

from data.db import moment, transaction
from data.records.ids import FriendId
from data.records.people import HeldCertificate
from data.store import friends, push_subscriptions
from dispatch.rules.people.reachability import AlarmState, alarm_state
from dispatch.runtime import Runtime


async def parts(rt: Runtime, friend_id: FriendId) -> tuple[tuple[HeldCertificate, ...], AlarmState]:
    """The certificates a friend holds, including expired ones, and the state of the alarm."""
    async with transaction(rt.pool) as tx:
        rows = await friends.facts(tx, [friend_id], await moment(tx))
        phones = await push_subscriptions.alarms(tx, friend_id)
    held = rows[friend_id].certificates if friend_id in rows else ()
    return held, alarm_state(phones)
