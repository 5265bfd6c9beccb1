"""Parts of a friend's profile that are not in its row."""

from __future__ import annotations

from data.db import transaction
from data.records.ids import FriendId
from data.records.people import HeldCertificate
from data.store import friend_admin, push_subscriptions
from dispatch.rules.people.reachability import AlarmState, alarm_state
from dispatch.runtime import Runtime


async def parts(rt: Runtime, friend_id: FriendId) -> tuple[tuple[HeldCertificate, ...], AlarmState]:
    """The certificates a friend holds, including expired ones, and the state of the alarm."""
    async with transaction(rt.pool) as tx:
        held = await friend_admin.certificates(tx, friend_id)
        phones = await push_subscriptions.alarms(tx, friend_id)
    return held, alarm_state(phones)
