"""Background upkeep: clocks, index updates, old rows and forgotten bookings, the backlog."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data.db import moment, transaction
from data.records.ids import BookingId, FriendId, MessageId
from data.records.people import Friend
from data.store import (
    account_mails,
    audit,
    clock,
    errands,
    friend_changes,
    friends,
    idempotency_keys,
    jobs,
    outbox,
    passkeys,
    phone_codes,
    quotas,
    quotes,
    sessions,
    threads,
)
from data.store.outbox import Backlog
from dispatch.flows.execute import Command, CommandResult
from dispatch.flows.group_commit import group_commit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.draft import SYSTEM
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

CONFIRMED_FOR = timedelta(hours=1)


async def wall_clock(rt: Runtime) -> datetime | None:
    """The database server's clock; None where a test clock is set."""
    async with transaction(rt.pool) as tx:
        return await clock.wall_time(tx)


async def last_event_at(rt: Runtime) -> datetime | None:
    """The time of the last event; None when there is none."""
    async with transaction(rt.pool) as tx:
        return await clock.last_event_at(tx)


async def is_clock_confirmed(rt: Runtime) -> bool:
    """Whether the database's clock was confirmed within the last hour."""
    async with transaction(rt.pool) as tx:
        return await clock.is_confirmed(tx, CONFIRMED_FOR)


async def next_due_s(rt: Runtime) -> float | None:
    """Real seconds until the next timer is due; None without one, or while a test clock stands."""
    async with transaction(rt.pool) as tx:
        due_s = await jobs.next_due_s(tx)
        speed = await clock.speed(tx)
    if due_s is None or due_s <= 0:
        return due_s
    return due_s / speed if speed > 0 else None


async def now(rt: Runtime) -> datetime:
    """The moment of the database."""
    async with transaction(rt.pool) as tx:
        return await moment(tx)


async def horizon(rt: Runtime) -> str:
    """The current position in the stream of friend changes."""
    async with transaction(rt.pool) as tx:
        return await friends.horizon(tx)


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendChanges:
    """Friend changes at or after a mark; `mark` is where to continue.

    `changed` are the friends whose copy in the index is outdated; `live_offers` the new counts of
    those whose number of live offers may have changed.
    """

    changed: list[FriendId]
    live_offers: Mapping[FriendId, int]
    mark: str


async def read_friend_changes(rt: Runtime, mark: str) -> FriendChanges:
    """The friend changes at or after `mark` that the index lacks; none is missed."""
    async with transaction(rt.pool) as tx:
        # Before the changes are read: what commits in between is read again the next time.
        later = await friends.horizon(tx)
        rows = await friend_changes.versions(tx, await friends.changed_since(tx, mark))
        changed = [one for one, row in rows.items() if _version_and_jobs(rt.index.get(one)) != row]
        live_offers = await friend_changes.live_offers_since(tx, mark, await moment(tx))
    return FriendChanges(changed=changed, live_offers=live_offers, mark=later)


async def index_differences(rt: Runtime) -> set[FriendId]:
    """The friends whose copy in the index differs from their row, even if only for a moment."""
    differing: set[FriendId] = set()
    seen: set[FriendId] = set()
    async with transaction(rt.pool) as tx:
        async for page in friend_changes.fingerprints(tx, await moment(tx)):
            seen |= page.keys()
            differing |= {
                one for one, row in page.items() if _fingerprint(rt.index.get(one)) != row
            }
    return differing | {friend.id for friend in rt.index if friend.id not in seen}


async def confirm_differences(rt: Runtime, suspects: Collection[FriendId]) -> set[FriendId]:
    """Those of `suspects` whose copy still differs from their row, apart from live offers."""
    async with transaction(rt.pool) as tx:
        rows = await friends.facts(tx, suspects, await moment(tx))
    return {one for one in suspects if not _is_same(rt.index.get(one), rows.get(one))}


async def delete_old_rows(rt: Runtime) -> None:
    """Delete old keys, quotes, sessions, login links, codes, errands, quotas and contacts.

    At most a thousand of each.
    """
    for store in (idempotency_keys, quotes, sessions, account_mails, passkeys, phone_codes):
        async with transaction(rt.pool) as tx:
            await store.delete_old(tx)
    async with transaction(rt.pool) as tx:
        await errands.delete_old(tx, rt.policy.errands_kept)
    async with transaction(rt.pool) as tx:
        await quotas.delete_old(tx, rt.policy.bookings_within, rt.policy.confirmed_for)


async def empty_old_messages(rt: Runtime) -> None:
    """Empty what customers and friends wrote, once the jobs have been over for long enough."""
    async with transaction(rt.pool) as tx:
        await threads.empty_old(tx, rt.policy.messages_kept)


async def cancel_forgotten(rt: Runtime, booking_id: BookingId) -> bool:
    """Cancel a booking that nobody has ended for `customers_kept`. Raises NotInThisState.

    Returns whether this call cancelled it: not if somebody has changed it meanwhile.
    """
    result = await group_commit(rt).execute(
        Command(
            booking_id=booking_id,
            actor=SYSTEM,
            decide=lambda case, facts: rules.cancel_forgotten(case),
        )
    )
    return isinstance(result, CommandResult) and result.changes is not None


async def backlog(rt: Runtime) -> Backlog:
    """The messages waiting to be sent, and the timers that are due."""
    async with transaction(rt.pool) as tx:
        return await outbox.backlog(tx)


async def unpark(rt: Runtime, message_id: MessageId, *, actor: str = "desk") -> None:
    """Send a parked message again, for the desk. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        subject = await outbox.unpark(tx, message_id)
        if subject is None:
            raise NotFound("there is no such parked message")
        data = {"message": str(message_id)}
        await audit.record(tx, actor=actor, act="message.sent_again", subject=subject, data=data)
    rt.notify([])


def _version_and_jobs(copy: Friend | None) -> tuple[int, int] | None:
    return (copy.version, copy.open_jobs) if copy else None


def _fingerprint(copy: Friend | None) -> friend_changes.Fingerprint | None:
    return (
        friend_changes.Fingerprint(copy.version, copy.open_jobs, copy.live_offers) if copy else None
    )


def _is_same(copy: Friend | None, row: Friend | None) -> bool:
    """Compare all but live offers, which change without a change of the friend."""
    if copy is None or row is None:
        return copy is row
    return replace(copy, live_offers=row.live_offers) == row
