"""Phones that receive push messages: subscribed, tested and removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from data.db import transaction
from data.records.ids import FriendId
from data.store import friend_admin, push_subscriptions
from data.store.push_subscriptions import FriendStatus, PhoneProblem, PushSubscription
from dispatch.flows.people import friends
from dispatch.rules.people.push_endpoints import check_push_endpoint
from dispatch.rules.people.reachability import AlarmState, alarm_state
from dispatch.rules.refusals import NotFound, Refused
from dispatch.runtime import Runtime

PHONES_MAX = 5
PAUSE_S = 10


class TestedJustNow(Refused):
    """Your phones were tested a moment ago."""

    code = "rung-just-now"
    detail = f"Wait {PAUSE_S} seconds between two tests."


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmTest:
    """A test of a friend's alarm: the friend's status and phones."""

    status: FriendStatus
    phones: Sequence[PushSubscription]


async def subscribe(
    rt: Runtime, friend_id: FriendId, *, endpoint: str, p256dh: bytes, auth: bytes
) -> datetime:
    """Subscribe a phone of a friend; returns since when. Raises EndpointRefused."""
    check_push_endpoint(endpoint, rt.settings.push_services)
    async with transaction(rt.pool) as tx:
        if not await friend_admin.lock_friend(tx, friend_id):
            raise NotFound("there is no such friend")
        added_at = await push_subscriptions.put(
            tx,
            rt.new_id(),
            friend_id,
            endpoint=endpoint,
            p256dh=p256dh,
            auth=auth,
            limit=PHONES_MAX,
        )
    await friends.refresh_index(rt, [friend_id])
    return added_at


async def unsubscribe(rt: Runtime, friend_id: FriendId, endpoint: str) -> None:
    """Unsubscribe a phone of a friend; repeating it changes nothing."""
    async with transaction(rt.pool) as tx:
        await push_subscriptions.drop(tx, friend_id, endpoint)
    await friends.refresh_index(rt, [friend_id])


async def begin_alarm_test(rt: Runtime, friend_id: FriendId) -> AlarmTest:
    """The friend's phones, to be tested now. Raises TestedJustNow."""
    async with transaction(rt.pool) as tx:
        if not await friend_admin.lock_friend(tx, friend_id):
            raise NotFound("there is no such friend")
        status = await push_subscriptions.friend_status(tx, friend_id)
        assert status is not None
        phones = await push_subscriptions.subscriptions_of(tx, friend_id)
        if any(
            one.rung_at and status.now - one.rung_at < timedelta(seconds=PAUSE_S) for one in phones
        ):
            raise TestedJustNow
        await push_subscriptions.mark_pushed(tx, friend_id)
    return AlarmTest(status=status, phones=phones)


async def finish_alarm_test(
    rt: Runtime, test: AlarmTest, problems: Sequence[PhoneProblem | None]
) -> int:
    """Record the results of a test; returns how many phones remain subscribed."""
    await record_results(
        rt, [(one.id, problem) for one, problem in zip(test.phones, problems, strict=True)]
    )
    return len(problems) - problems.count(PhoneProblem.GONE)


async def confirm_alarm(rt: Runtime, friend_id: FriendId) -> AlarmState:
    """Record that a friend heard the phones that were rung; returns the state of the alarm.

    It changes nothing where no phone has rung.
    """
    async with transaction(rt.pool) as tx:
        await push_subscriptions.confirm(tx, friend_id)
        return alarm_state(await push_subscriptions.alarms(tx, friend_id))


async def record_results(rt: Runtime, results: Sequence[tuple[UUID, PhoneProblem | None]]) -> None:
    """Record the results of sending to phones; expired subscriptions are deleted."""
    gone = [one for one, problem in results if problem is PhoneProblem.GONE]
    others = [(one, problem) for one, problem in results if problem is not PhoneProblem.GONE]
    async with transaction(rt.pool) as tx:
        await push_subscriptions.settle(tx, gone, others)
