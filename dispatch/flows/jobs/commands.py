"""The commands on a job, one public function each: which booking, who acts, which rule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from data.db import Connection, ConstraintViolation, DatabaseError, transaction
from data.enums import AwardState, BookingState, TimerKind, Wish
from data.records.ids import BookingId, FriendId, OfferId, QuotaKey
from data.records.jobs import Changes, Job, Protocol
from data.store import jobs
from data.store.idempotency_keys import Claim
from data.store.jobs import Jobs
from dispatch.flows.execute import (
    Command,
    CommandResult,
    Facts,
    StoredResponse,
    complete_fan_outs,
)
from dispatch.flows.group_commit import group_commit, publish_changes
from dispatch.flows.jobs.callers import (
    Permission,
    by_any_holder,
    by_holder,
    by_permitted,
    check_holder,
    execute_one,
    is_former,
    is_holder,
    on_offer,
)
from dispatch.flows.jobs.orders import Order, prepare_booking
from dispatch.rules.jobs import confirmation, contact, fan_out, reviews, visit
from dispatch.rules.jobs import contest as contests
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.draft import SYSTEM, Case, PendingFanOut, Verdict
from dispatch.rules.jobs.reasons import ContestReason
from dispatch.rules.jobs.refusals import WrongCode
from dispatch.rules.trust import quotas
from dispatch.rules.trust.mailed_secrets import Proof
from dispatch.runtime import Runtime
from geo.point import Point

log = logging.getLogger(__name__)

ResponseBuilder = Callable[[CommandResult], Mapping[str, Any]]


async def book(
    rt: Runtime, order: Order, *, actor: str, claim: Claim | None, build_response: ResponseBuilder
) -> CommandResult | StoredResponse:
    """Create a booking and ask the nearest friends; a repeat under its claim changes nothing.

    A customer without a partner must confirm the mail address first, unless the same address and
    telephone number were confirmed lately.

    Raises NotSoldHere, AddressRefused, QuoteExpired, ReferenceTaken, KeyReused, TooManyBookings,
    ProofRequired.
    """
    prepared = await prepare_booking(rt, order)
    place = quotas.place(prepared.cell)
    booking_id = BookingId(rt.new_id())

    def counted(facts: Facts) -> Iterable[QuotaKey]:
        if order.contact is None:
            return ()
        at_once = order.confirmed or order.contact in facts.confirmed
        return filter(None, (*order.quotas, order.proof, place if at_once else None))

    def decide(case: Case, facts: Facts) -> Verdict:
        if order.contact is None:
            return rules.book(case)
        counts = facts.quotas.use(counted(facts), lambda found: quotas.check(found, rt.policy))
        before = quotas.booked_before(counts, rt.policy)
        if order.confirmed or order.contact in facts.confirmed:
            return rules.book(case, before)
        return confirmation.hold(case, before)

    return await group_commit(rt).execute(
        Command(
            booking_id=booking_id,
            actor=actor,
            decide=decide,
            create=lambda now: prepared.create(booking_id, now),
            claim=claim,
            reference=order.reference,
            contact=order.contact,
            quotas=counted,
            build_response=build_response,
        )
    )


async def confirm(rt: Runtime, booking_id: BookingId, given: Proof) -> CommandResult:
    """Confirm a booking by its code or link, and ask the nearest friends.

    Raises WrongCode, TooManyCodes, TooManyBookings, NotInThisState.
    """

    def counted(facts: Facts) -> Iterable[QuotaKey]:
        job = facts.jobs.get(booking_id)
        if job is None or given is Proof.NONE:
            return ()
        booking = job.booking
        waits = booking.state is BookingState.UNCONFIRMED
        return (quotas.place(Point(booking.cell_lat, booking.cell_lon)),) if waits else ()

    def decide(case: Case, facts: Facts) -> Verdict:
        verdict = confirmation.confirm(case, given)
        facts.quotas.use(counted(facts), lambda counts: quotas.check(counts, rt.policy))
        return verdict

    done = await execute_one(
        rt,
        Command(
            booking_id=booking_id,
            actor="customer",
            decide=decide,
            quotas=counted,
        ),
    )
    if done.job.booking.state is BookingState.UNCONFIRMED:
        raise WrongCode
    return done


async def accept(rt: Runtime, offer_id: OfferId, friend_id: FriendId) -> CommandResult:
    """Accept the friend's live offer; the first to accept is awarded the job.

    Raises OfferGone, OfferExpired, AtCapacity, TooManyToday, NotFound.
    """
    return await on_offer(
        rt,
        offer_id,
        friend_id,
        lambda case, facts: rules.accept(case, offer_id, facts.friend(friend_id)),
    )


async def decline(rt: Runtime, offer_id: OfferId, friend_id: FriendId) -> CommandResult:
    """Decline the friend's live offer; the next nearest is asked at once."""
    return await on_offer(
        rt, offer_id, friend_id, lambda case, facts: rules.decline(case, offer_id)
    )


async def confirm_contact(rt: Runtime, booking_id: BookingId, friend_id: FriendId) -> CommandResult:
    """Record that the friend has reached the customer. Raises ContactDeadlinePassed."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: rules.confirm_contact(case)
    )


async def schedule(
    rt: Runtime,
    booking_id: BookingId,
    friend_id: FriendId,
    starts_at: datetime,
    ends_at: datetime | None,
) -> CommandResult:
    """Set or move the appointment; without an end it lasts the package's minutes."""

    def decide(case: Case, facts: Facts) -> Verdict:
        until = ends_at or visit.appointment_end(starts_at, case.job.package.minutes)
        calendar = facts.appointments.get(friend_id, {})
        taken = tuple(other for id_, other in calendar.items() if id_ != booking_id)
        return rules.schedule(case, starts_at, until, taken)

    return await by_holder(rt, booking_id, friend_id, decide, with_appointments=True)


async def mark_on_the_way(rt: Runtime, booking_id: BookingId, friend_id: FriendId) -> CommandResult:
    """Record that the friend has set out."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: visit.mark_on_the_way(case)
    )


async def take_back_on_the_way(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId
) -> CommandResult:
    """Record that the friend is not on the way after all; the customer is informed."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: visit.take_back_on_the_way(case)
    )


async def delay(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, minutes: int
) -> CommandResult:
    """Record that the friend will be `minutes` late; the customer is informed."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: visit.delay(case, minutes)
    )


async def start(rt: Runtime, booking_id: BookingId, friend_id: FriendId) -> CommandResult:
    """Record that the visit has begun."""
    return await by_holder(rt, booking_id, friend_id, lambda case, facts: rules.start(case))


async def complete(
    rt: Runtime,
    booking_id: BookingId,
    friend_id: FriendId,
    protocol: Protocol,
    signature: str | None = None,
) -> CommandResult:
    """Complete the job; `signature` is the customer's, as an SVG path. Raises CompletedTooEarly."""
    return await by_holder(
        rt, booking_id, friend_id, lambda case, facts: rules.complete(case, protocol, signature)
    )


async def mark_incomplete(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, reason: str, protocol: Protocol | None
) -> CommandResult:
    """Mark a visit that did not solve the problem; repeating it changes nothing."""

    def decide(case: Case, facts: Facts) -> Verdict:
        released = is_former(case.job, friend_id, AwardState.RELEASED)
        if released and case.job.booking.state is BookingState.INCOMPLETE:
            return None
        check_holder(case.job, friend_id)
        return rules.mark_incomplete(case, reason, protocol)

    return await by_any_holder(rt, booking_id, friend_id, decide)


async def hand_back(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, reason: str, note: str | None
) -> CommandResult:
    """Hand the job back; others are asked. Repeating it changes nothing."""

    def decide(case: Case, facts: Facts) -> Verdict:
        returned = is_former(case.job, friend_id, AwardState.HANDED_BACK)
        if returned and not is_holder(case.job, friend_id):
            return None
        check_holder(case.job, friend_id)
        return rules.hand_back(case, reason, note, facts.friend(friend_id))

    return await by_any_holder(rt, booking_id, friend_id, decide)


async def cancel(
    rt: Runtime,
    booking_id: BookingId,
    *,
    actor: str,
    reason: str,
    may_act: Permission,
    fee_minor_max: int = 0,
) -> CommandResult:
    """Cancel a booking; `may_act` is whether this caller may. Raises FeeChanged."""
    return await by_permitted(
        rt, booking_id, actor, may_act, lambda case: rules.cancel(case, reason, fee_minor_max)
    )


async def report_no_call(rt: Runtime, booking_id: BookingId) -> CommandResult:
    """Record the customer's report that nobody has called."""
    return await by_permitted(rt, booking_id, "customer", lambda job: True, visit.report_no_call)


async def request_move(
    rt: Runtime, booking_id: BookingId, *, wishes: tuple[Wish, ...], note: str | None
) -> CommandResult:
    """Record the customer's request for another time."""

    def rule(case: Case) -> Verdict:
        return visit.request_move(case, wishes, note)

    return await by_permitted(rt, booking_id, "customer", lambda job: True, rule)


async def renew_link(
    rt: Runtime, booking_id: BookingId, *, actor: str, may_act: Permission
) -> CommandResult:
    """Make every link of the customer invalid, and mail a new one. Raises NotInThisState."""
    return await by_permitted(rt, booking_id, actor, may_act, rules.renew_link)


async def redispatch(
    rt: Runtime, booking_id: BookingId, *, actor: str, needs_pro: bool | None = None
) -> CommandResult:
    """Ask friends for a booking again, for the desk, which may say whether it needs a pro."""

    def rule(case: Case) -> Verdict:
        return rules.redispatch(case, needs_pro)

    return await by_permitted(rt, booking_id, actor, lambda job: True, rule)


async def award_by_hand(
    rt: Runtime, booking_id: BookingId, friend_id: FriendId, *, actor: str
) -> CommandResult:
    """Award a booking to a friend, for the desk. Raises FriendUnfit."""
    return await execute_one(
        rt,
        Command(
            booking_id=booking_id,
            actor=actor,
            decide=lambda case, facts: rules.award_by_hand(case, facts.friend(friend_id)),
            friend=friend_id,
        ),
    )


async def contest(rt: Runtime, booking_id: BookingId, reason: ContestReason) -> CommandResult:
    """Record the customer's objection to a completion. Raises ContestOver."""

    def rule(case: Case) -> Verdict:
        return contests.contest(case, reason)

    return await by_permitted(rt, booking_id, "customer", lambda job: True, rule)


async def uphold(rt: Runtime, booking_id: BookingId, *, actor: str) -> CommandResult:
    """Dismiss the objection to a completion or to a contact, for the desk."""
    return await by_permitted(rt, booking_id, actor, lambda job: True, contests.uphold)


async def reopen(rt: Runtime, booking_id: BookingId, *, actor: str) -> CommandResult:
    """Reopen a contested job and ask friends again, for the desk."""
    return await by_permitted(rt, booking_id, actor, lambda job: True, contests.reopen)


async def rate(
    rt: Runtime,
    booking_id: BookingId,
    *,
    stars: int,
    comment: str | None,
    claim: Claim | None,
    build_response: ResponseBuilder,
) -> CommandResult | StoredResponse:
    """Rate a completed job once. Raises AlreadyRated."""
    return await group_commit(rt).execute(
        Command(
            booking_id=booking_id,
            actor="customer",
            decide=lambda case, facts: reviews.rate(case, stars, comment),
            claim=claim,
            build_response=build_response,
        )
    )


TIMER_RULES: Mapping[TimerKind, Callable[[Case], Verdict]] = {
    TimerKind.CONTACT_DEADLINE: rules.forfeit,
    TimerKind.CONTACT_REMINDER: rules.remind,
    TimerKind.OFFERS_EXPIRE: fan_out.expire,
    TimerKind.RETRY: fan_out.retry,
    TimerKind.CONFIRMATION_DUE: confirmation.expire,
    TimerKind.AGREEMENT_DUE: visit.remind_agreement,
    TimerKind.CONTACT_CONTESTED: contact.expire,
}


async def fire_due_timers(rt: Runtime, limit: int) -> int:
    """Act on at most `limit` bookings with due timers; returns how many.

    A booking whose timer fails is postponed and does not block the others.
    """
    try:
        async with transaction(rt.pool) as tx:
            loaded, now = await jobs.lock_due(tx, limit, rt.catalogue)
            changes = await _fire(rt, tx, loaded, now)
    except Exception as error:
        if isinstance(error, DatabaseError) and not isinstance(error, ConstraintViolation):
            raise
        log.exception("a batch of timers failed; acting on them one by one")
        return await _fire_singly(rt, limit)
    publish_changes(rt, changes)
    return len(loaded)


async def _fire_singly(rt: Runtime, limit: int) -> int:
    async with transaction(rt.pool) as tx:
        due = await jobs.due(tx, limit)
    acted = 0
    for booking_id in due:
        try:
            async with transaction(rt.pool) as tx:
                loaded, now = await jobs.lock(tx, [booking_id], rt.catalogue)
                changes = await _fire(rt, tx, loaded, now)
        except Exception:
            log.exception("timers of booking %s failed; they are postponed", booking_id)
            async with transaction(rt.pool) as tx:
                await jobs.postpone(tx, booking_id)
        else:
            publish_changes(rt, changes)
            acted += 1
    return acted


async def _fire(rt: Runtime, tx: Connection, loaded: Jobs, now: datetime) -> list[Changes]:
    facts = Facts(now=now, jobs=loaded)
    verdicts: dict[BookingId, Changes | PendingFanOut] = {}
    for job in list(loaded.values()):
        verdict = _apply_due_rule(rt, job, now)
        if verdict is not None:
            facts.apply(verdict)
            verdicts[job.booking.id] = verdict
    decided = await complete_fan_outs(rt, tx, facts, verdicts)
    await jobs.write(tx, list(decided.values()), now)
    return list(decided.values())


def _apply_due_rule(rt: Runtime, job: Job, now: datetime) -> Verdict:
    case = Case(job=job, now=now, policy=rt.policy, actor=SYSTEM)
    for kind, rule in TIMER_RULES.items():
        if kind in job.timers and job.timers[kind] <= now:
            return rule(case)
    return None
