"""The business: what may happen to a job, and what follows.

A customer books; the four nearest who qualify are asked; the first to accept is awarded the job and
must contact the customer within twelve hours, or he forfeits it and it goes out again. Everything
else here is what people do along the way: decline, hand back, agree on an appointment, start,
complete, cancel, rate; and what the desk does by hand.

Every rule takes a `Case` (the job under its lock, the moment, the policy, who acts) and answers
with `Changes`, or with an `Asking` when friends must be asked: then the flow looks who is near and
`ask` finishes the decision. A rule that changes nothing because it was already so answers None.
"""

from __future__ import annotations

from datetime import datetime

from data.enums import AwardState, BookingState, FriendState, OfferState, TimerKind
from data.records.ids import AwardId, OfferId, derived_id
from data.records.jobs import Appointment, Award, Changes, Decision, Offer, Protocol, Rating
from data.records.money import Charge
from data.records.people import Friend
from data.replace import replace
from dispatch.rules.jobs import cancellation, matching
from dispatch.rules.jobs.draft import Asking, Case, Draft
from dispatch.rules.jobs.matching import Nearby
from dispatch.rules.jobs.refusals import (
    AlreadyRated,
    AppointmentOverlaps,
    AppointmentUnfit,
    AtCapacity,
    ContactDeadlinePassed,
    FriendUnfit,
    NotInThisState,
    OfferExpired,
    OfferGone,
)
from dispatch.rules.jobs.states import HELD

Verdict = Changes | Asking | None


def book(case: Case) -> Verdict:
    """A new booking: the nearest are asked at once."""
    draft = Draft(case)
    draft.change(round_limit=case.policy.rounds)
    draft.event("booking.created", package=draft.booking.package)
    return _ask_friends(draft)


def accept(case: Case, offer_id: OfferId, friend: Friend) -> Verdict:
    """The first to accept gets the job; the others' offers are lost in the same moment."""
    draft = Draft(case)
    offer = _offer(case, offer_id)
    if offer.state is OfferState.ACCEPTED:
        return None
    _must_be_live(draft, offer)
    if friend.state is FriendState.SUSPENDED:
        raise OfferGone
    if friend.open_jobs >= friend.capacity:
        raise AtCapacity(f"you have {friend.open_jobs} open jobs; finish or hand back one first")

    draft.close(offer, OfferState.ACCEPTED)
    lost = draft.close_live(OfferState.LOST)
    return _award(draft, friend, offer_id=offer.id, lost=lost)


def award_by_hand(case: Case, friend: Friend) -> Verdict:
    """The desk gives the job to a friend who agreed by telephone; live offers are withdrawn."""
    draft = Draft(case)
    draft.must_be(BookingState.OPEN, BookingState.UNFILLED)
    if not matching.available(friend) or draft.booking.customer_key in friend.blocked:
        raise FriendUnfit("he must be active, below his capacity and not blocked by the customer")
    lost = [one for one in draft.close_live(OfferState.WITHDRAWN) if one != str(friend.id)]
    return _award(draft, friend, offer_id=None, lost=lost)


def decline(case: Case, offer_id: OfferId) -> Verdict:
    """A decline calls the next nearest at once."""
    draft = Draft(case)
    offer = _offer(case, offer_id)
    if offer.state is OfferState.DECLINED:
        return None
    _must_be_live(draft, offer)
    draft.close(offer, OfferState.DECLINED)
    draft.event("offer.declined", friend=str(offer.friend_id), offer=str(offer.id))
    return _ask_friends(draft)


def expire(case: Case) -> Verdict:
    """Offers at the end of their life expire, and the next nearest are asked."""
    draft = Draft(case)
    due = [offer for offer in draft.live if offer.expires_at <= case.now]
    if not due:
        draft.timer(TimerKind.OFFERS_EXPIRE, _first_expiry(draft))
        return draft.changes()
    for offer in due:
        draft.close(offer, OfferState.EXPIRED)
    draft.event("offer.expired", friends=[str(offer.friend_id) for offer in due])
    return _ask_friends(draft)


def contacted(case: Case) -> Verdict:
    """The friend has reached the customer: the clock of the deadline stops.

    That she said before that nobody had called is answered by this; she may say it again.
    """
    draft = Draft(case)
    if case.job.award and case.job.award.contacted_at:
        return None
    draft.must_be(BookingState.AWARDED)
    if case.now >= draft.held.contact_due_at:
        raise ContactDeadlinePassed
    # A clock that was set back must not keep a friend from saying that he has called.
    draft.amend(contacted_at=max(case.now, draft.held.awarded_at), disputed_at=None)
    draft.timer(TimerKind.CONTACT_REMINDER, None)
    draft.timer(TimerKind.CONTACT_DEADLINE, None)
    draft.move(BookingState.CONTACTED)
    draft.event("booking.contacted", friend=str(draft.held.friend_id))
    return draft.changes()


def remind(case: Case) -> Verdict:
    """A reminder before the deadline, and the next one set."""
    draft = Draft(case)
    if draft.booking.state is not BookingState.AWARDED:
        draft.timer(TimerKind.CONTACT_REMINDER, None)
        return draft.changes()
    due = draft.held.contact_due_at
    draft.timer(TimerKind.CONTACT_REMINDER, _next_reminder(draft, after=case.now))
    draft.event("contact.reminded", friend=str(draft.held.friend_id), due_at=due.isoformat())
    return draft.changes()


def forfeit(case: Case) -> Verdict:
    """Twelve hours without contact: the job leaves the friend and goes out again without him."""
    draft = Draft(case)
    if draft.booking.state is not BookingState.AWARDED:
        draft.timer(TimerKind.CONTACT_DEADLINE, None)
        return draft.changes()
    if case.now < draft.held.contact_due_at:
        draft.timer(TimerKind.CONTACT_DEADLINE, draft.held.contact_due_at)
        return draft.changes()
    award = draft.end(AwardState.FORFEITED, OfferState.FORFEITED)
    draft.event("contact.missed", friend=str(award.friend_id), award=str(award.id))
    return _ask_again(draft)


def hand_back(case: Case, reason: str, note: str | None) -> Verdict:
    """The friend gives the job back; it goes out again without him, and the reason is kept."""
    draft = Draft(case)
    draft.must_be(BookingState.AWARDED, BookingState.CONTACTED, BookingState.SCHEDULED)
    draft.amend(protocol=Protocol(summary=note, minutes=0) if note else None)
    award = draft.end(AwardState.HANDED_BACK, OfferState.HANDED_BACK)
    draft.event("booking.handed_back", friend=str(award.friend_id), reason=reason)
    return _ask_again(draft)


def agree(
    case: Case, starts_at: datetime, ends_at: datetime, taken: tuple[Appointment, ...]
) -> Verdict:
    """Friend and customer agreed on an appointment, or moved it; both are told.

    `taken` are the friend's other appointments.
    """
    draft = Draft(case)
    draft.must_be(BookingState.CONTACTED, BookingState.SCHEDULED)
    before = draft.held.appointment
    asked = draft.held.move_asked_at is not None
    if not asked and before and (before.starts_at, before.ends_at) == (starts_at, ends_at):
        return None
    if not case.now < starts_at < ends_at <= case.now + case.policy.appointment_ahead:
        ahead = case.policy.appointment_ahead.days
        raise AppointmentUnfit(f"it must begin in the future, end after that, within {ahead} days")
    if any(starts_at < other.ends_at and other.starts_at < ends_at for other in taken):
        raise AppointmentOverlaps
    revision = draft.seq
    draft.amend(
        appointment=Appointment(starts_at=starts_at, ends_at=ends_at, revision=revision),
        on_the_way_at=None,
        move_asked_at=None,
        move_wishes=(),
    )
    draft.move_note = "" if asked else None
    draft.move(BookingState.SCHEDULED)
    draft.event(
        "booking.scheduled",
        friend=str(draft.held.friend_id),
        starts_at=starts_at.isoformat(),
        ends_at=ends_at.isoformat(),
        revision=revision,
    )
    return draft.changes()


def start(case: Case) -> Verdict:
    """The friend is at the door."""
    draft = Draft(case)
    if draft.booking.state is BookingState.UNDER_WAY:
        return None
    draft.must_be(BookingState.CONTACTED, BookingState.SCHEDULED)
    draft.amend(started_at=case.now)
    draft.move(BookingState.UNDER_WAY)
    draft.event("booking.started", friend=str(draft.held.friend_id))
    return draft.changes()


def complete(case: Case, protocol: Protocol, signature: str | None = None) -> Verdict:
    """The problem is solved: protocol and signature are kept, the charge arises, she may rate."""
    draft = Draft(case)
    if draft.booking.state is BookingState.COMPLETED:
        return None
    draft.must_be(BookingState.CONTACTED, BookingState.SCHEDULED, BookingState.UNDER_WAY)
    draft.amend(protocol=protocol)
    draft.signature = signature
    award = draft.end(AwardState.DONE)
    booking = draft.booking
    draft.charge = Charge(
        booking_id=booking.id,
        friend_id=award.friend_id,
        price=booking.price,
        pay=booking.pay,
        at=case.now,
    )
    draft.move(BookingState.COMPLETED)
    draft.event("booking.completed", friend=str(award.friend_id))
    return draft.changes()


def give_up(case: Case, reason: str, protocol: Protocol | None) -> Verdict:
    """The visit did not solve the problem: the job is incomplete and the desk decides."""
    draft = Draft(case)
    if draft.booking.state is BookingState.INCOMPLETE:
        return None
    draft.must_be(BookingState.CONTACTED, BookingState.SCHEDULED, BookingState.UNDER_WAY)
    draft.amend(protocol=protocol)
    award = draft.end(AwardState.RELEASED, OfferState.RELEASED)
    draft.move(BookingState.INCOMPLETE)
    draft.event("booking.incomplete", friend=str(award.friend_id), reason=reason)
    return draft.changes()


def cancel(case: Case, reason: str, fee_minor_max: int = 0) -> Verdict:
    """The booking ends: live offers are withdrawn and its friend released in the same moment.

    It may cost a fee; refused when that is more than `fee_minor_max`, which the customer was shown.
    """
    draft = Draft(case)
    if draft.booking.state is BookingState.CANCELLED:
        return None
    if draft.booking.state in (BookingState.UNDER_WAY, BookingState.COMPLETED):
        raise NotInThisState(f"it is {draft.booking.state}; ask the friend or the desk")
    fees = cancellation.charge(draft, fee_minor_max)
    withdrawn = draft.close_live(OfferState.WITHDRAWN)
    friend = None
    if draft.booking.state in HELD:
        friend = str(draft.end(AwardState.RELEASED, OfferState.RELEASED).friend_id)
    draft.stop_timers()
    draft.move(BookingState.CANCELLED)
    draft.event("booking.cancelled", reason=reason, withdrawn=withdrawn, friend=friend, **fees)
    return draft.changes()


def redispatch(case: Case) -> Verdict:
    """The desk sends it out again, taking it from whoever holds it."""
    draft = Draft(case)
    draft.must_be(
        BookingState.UNFILLED,
        BookingState.INCOMPLETE,
        BookingState.AWARDED,
        BookingState.CONTACTED,
        BookingState.SCHEDULED,
    )
    friend = None
    if draft.booking.state in HELD:
        friend = str(draft.end(AwardState.RELEASED, OfferState.RELEASED).friend_id)
    draft.event("booking.redispatched", friend=friend)
    return _ask_again(draft)


def retry(case: Case) -> Verdict:
    """An unfilled booking is tried again, without a word when still nobody is there."""
    draft = Draft(case)
    draft.timer(TimerKind.RETRY, None)
    if draft.booking.state is not BookingState.UNFILLED:
        return draft.changes()
    return _ask_again(draft)


def rate(case: Case, stars: int, comment: str | None) -> Verdict:
    """One to five stars, once."""
    draft = Draft(case)
    draft.must_be(BookingState.COMPLETED)
    if case.job.rated:
        raise AlreadyRated
    friend_id = draft.held.friend_id
    draft.rating = Rating(
        booking_id=draft.booking.id,
        friend_id=friend_id,
        stars=stars,
        comment=comment,
        at=case.now,
    )
    draft.event("booking.rated", friend=str(friend_id), stars=stars)
    return draft.changes()


def ask(asking: Asking, nearby: tuple[Nearby, ...]) -> Changes:
    """Finish a decision: ask the nearest of those who qualify, or say that nobody is left."""
    draft = asking.draft
    fresh = not draft.live
    asked = [offer.friend_id for offer in draft.live]
    ranking = matching.Ranking(chosen=(), considered=())
    for stage, need in enumerate(asking.needs, start=1):
        tried = asking.needs[:stage]
        ranking = matching.rank(nearby, tried, asked=asked, want=asking.want)
        if ranking.chosen:
            _escalate_to(draft, need)
            _offer_to(draft, ranking.chosen, fresh=fresh)
            break
    else:
        if fresh:
            _nobody_left(draft, "nobody_left" if asking.needs else "rounds_spent")
    _record(draft, ranking)
    draft.timer(TimerKind.OFFERS_EXPIRE, _first_expiry(draft))
    return draft.changes()


def _ask_friends(draft: Draft) -> Asking:
    policy, job = draft.case.policy, draft.job
    needs = matching.needs(job, draft.now, policy)
    return Asking(draft=draft, job=job, needs=needs, want=policy.fan_out - len(draft.live))


def _ask_again(draft: Draft) -> Asking:
    draft.stop_timers()
    draft.change(
        tier=matching.first_tier(draft.case.job.package),
        round_limit=draft.booking.round + draft.case.policy.rounds,
    )
    return _ask_friends(draft)


def _escalate_to(draft: Draft, need: matching.Need) -> None:
    booking = draft.booking
    if need.tier is not booking.tier:
        draft.change(tier=need.tier, round_limit=booking.round + draft.case.policy.rounds)
        draft.event("booking.escalated", tier=str(need.tier))


def _offer_to(draft: Draft, chosen: tuple[Nearby, ...], *, fresh: bool) -> None:
    if fresh:
        draft.change(round=draft.booking.round + 1)
    taken = {offer.slot for offer in draft.live}
    slots = [slot for slot in range(1, draft.case.policy.fan_out + 1) if slot not in taken]
    offers = [_new_offer(draft, near, slot) for near, slot in zip(chosen, slots, strict=False)]
    for offer in offers:
        draft.offer(offer)
    if draft.booking.state is not BookingState.OPEN:
        draft.move(BookingState.OPEN)
    draft.timer(TimerKind.RETRY, None)
    draft.event(
        "booking.offered",
        round=draft.booking.round,
        offers=[
            {
                "id": str(offer.id),
                "friend": str(offer.friend_id),
                "expires_at": offer.expires_at.isoformat(),
            }
            for offer in offers
        ],
    )


def _new_offer(draft: Draft, near: Nearby, slot: int) -> Offer:
    booking, policy = draft.booking, draft.case.policy
    return Offer(
        id=OfferId(derived_id(booking.id, "offer", booking.round, str(near.friend.id))),
        booking_id=booking.id,
        friend_id=near.friend.id,
        round=booking.round,
        slot=slot,
        state=OfferState.LIVE,
        distance_m=int(near.distance_m),
        shown_m=matching.shown_distance_m(booking, near.friend, policy),
        radius_m=near.friend.radius_m,
        offered_at=draft.now,
        expires_at=draft.now + policy.offer_life,
    )


def _nobody_left(draft: Draft, because: str) -> None:
    since = draft.booking.state_at
    already = draft.booking.state is BookingState.UNFILLED and draft.seq > 1
    if not already:
        draft.move(BookingState.UNFILLED)
        draft.event("booking.unfilled", round=draft.booking.round, because=because)
        since = draft.now
    if draft.now < since + draft.case.policy.retry_for:
        draft.timer(TimerKind.RETRY, draft.now + draft.case.policy.retry_every)


def _record(draft: Draft, ranking: matching.Ranking) -> None:
    booking = draft.booking
    if draft.seq == draft.case.job.booking.event_seq:
        return
    draft.decided(
        Decision(
            booking_id=booking.id,
            seq=draft.seq,
            round=booking.round,
            tier=booking.tier,
            at=draft.now,
            policy=draft.case.policy.name,
            friends=ranking.considered,
        )
    )


def _award(draft: Draft, friend: Friend, *, offer_id: OfferId | None, lost: list[str]) -> Changes:
    booking, policy = draft.booking, draft.case.policy
    due = draft.now + policy.contact_within
    award_id = AwardId(derived_id(booking.id, "award", draft.seq))
    draft.give(
        Award(
            id=award_id,
            booking_id=booking.id,
            friend_id=friend.id,
            offer_id=offer_id,
            round=booking.round,
            state=AwardState.LIVE,
            awarded_at=draft.now,
            contact_due_at=due,
        )
    )
    draft.stop_timers()
    draft.timer(TimerKind.CONTACT_DEADLINE, due)
    draft.timer(TimerKind.CONTACT_REMINDER, _next_reminder(draft, after=draft.now))
    draft.move(BookingState.AWARDED)
    draft.event(
        "booking.awarded",
        friend=str(friend.id),
        award=str(award_id),
        due_at=due.isoformat(),
        lost=lost,
    )
    return draft.changes()


def _offer(case: Case, offer_id: OfferId) -> Offer:
    return next(offer for offer in case.job.offers if offer.id == offer_id)


def _must_be_live(draft: Draft, offer: Offer) -> None:
    over = offer.state is OfferState.LIVE and draft.now >= offer.expires_at
    if over or offer.state is OfferState.EXPIRED:
        raise OfferExpired
    if offer.state is not OfferState.LIVE:
        raise OfferGone


def _first_expiry(draft: Draft) -> datetime | None:
    return min((offer.expires_at for offer in draft.live), default=None)


def _next_reminder(draft: Draft, *, after: datetime) -> datetime | None:
    due = draft.held.contact_due_at
    ahead = (due - before for before in draft.case.policy.contact_reminders)
    return min((moment for moment in ahead if moment > after), default=None)


def as_awarded(award: Award) -> Award:
    """The award as it was in the moment of acceptance: what a repeated accept is answered with."""
    return replace(
        award,
        state=AwardState.LIVE,
        contacted_at=None,
        appointment=None,
        on_the_way_at=None,
        move_asked_at=None,
        move_wishes=(),
        disputed_at=None,
        started_at=None,
        ended_at=None,
        protocol=None,
    )
