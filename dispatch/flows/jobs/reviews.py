"""Reviews both ways: written, shown, replied to, reported and decided; and a friend's profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from data.db import Connection, moment, transaction
from data.records.ids import BookingId, FriendId, PersonId
from data.records.reviews import HideReason, Review
from data.store import read_models
from data.store import reviews as store
from data.store.reviews import OpenReport, PublicProfile
from dispatch.flows.execute import Command, CommandResult
from dispatch.flows.jobs.callers import by_holder, execute_one
from dispatch.rules.jobs import reviews as rules
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

PROFILE_REVIEWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReview:
    """A review as one side sees it; `own` is what that side wrote."""

    review: Review
    own: bool


async def review_customer(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, stars: int, comment: str | None
) -> CommandResult:
    """Review the customer of a completed job, once. Raises AlreadyRated, ReviewOver."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: rules.review_customer(case, stars, comment)
    )


async def seen_by(
    rt: Runtime, booking_id: BookingId, *, friend: bool
) -> tuple[list[SeenReview], datetime | None]:
    """What the friend, or the customer, sees of both reviews, and until when they can be written.

    The caller is known to be that friend or customer.
    """
    async with transaction(rt.pool) as tx:
        found = await store.of_booking(tx, booking_id)
        view = await read_models.booking(tx, booking_id)
        now = await moment(tx)
    seen = [SeenReview(review=one, own=one.by_friend is friend) for one in found]
    until = view and view.holder and rules.reviewable_until(view.holder.award, rt.policy)
    return [one for one in seen if one.own or rules.is_shown(one.review, now)], until or None


async def reply(rt: Runtime, booking_id: BookingId, *, friend: bool, text: str) -> None:
    """Reply, once, to what is shown about this side. Raises NoReviewShown, AlreadyRated."""
    await _note(rt, booking_id, friend, rules.check_reply, reply=text)


async def report(rt: Runtime, booking_id: BookingId, *, friend: bool, text: str | None) -> None:
    """Report what is shown about this side; a repeat changes nothing. Raises NoReviewShown."""
    await _note(rt, booking_id, friend, rules.check_report, report=text, reported=True)


async def _note(
    rt: Runtime,
    booking_id: BookingId,
    friend: bool,
    check: Callable[[Review, datetime], None],
    *,
    reply: str | None = None,
    report: str | None = None,
    reported: bool = False,
) -> None:
    async with transaction(rt.pool) as tx:
        await store.lock(tx, booking_id)
        about = await _one(tx, booking_id, by_friend=not friend)
        if about is None:
            raise rules.NoReviewShown
        check(about, await moment(tx))
        key = (booking_id, about.no, about.by_friend)
        await store.note(tx, key, reply=reply, report=report, reported=reported)


async def decide(
    rt: Runtime,
    booking_id: BookingId,
    *,
    by_friend: bool,
    hide: HideReason | None,
    operator: PersonId,
) -> None:
    """Hide a reported review for a reason, or keep it; both sides hear of it. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        found = await _one(tx, booking_id, by_friend=by_friend)
    if found is None or found.reported_at is None:
        raise NotFound("there is no such report")
    await execute_one(
        rt,
        Command(
            booking_id=booking_id,
            actor=f"operator:{operator}",
            decide=lambda case, facts: rules.decide(case, found, hide, operator),
        ),
    )


async def _one(tx: Connection, booking_id: BookingId, *, by_friend: bool) -> Review | None:
    found = await store.of_booking(tx, booking_id)
    return next((one for one in found if one.by_friend is by_friend), None)


async def open_reports(rt: Runtime, limit: int) -> list[OpenReport]:
    """The reports that wait for a decision, oldest first."""
    async with transaction(rt.pool) as tx:
        return await store.open_reports(tx, limit)


async def profile(rt: Runtime, friend_id: FriendId) -> PublicProfile:
    """What customers see of a friend. Raises NotFound."""
    async with transaction(rt.pool) as tx:
        found = await store.profile(tx, friend_id, PROFILE_REVIEWS)
    if found is None:
        raise NotFound
    return found
