"""The business: what may happen to a job, and what follows from it.

A customer books, and the nearest friends who qualify are asked (`fan_out`). The first to accept is
awarded the job and must contact the customer by the deadline; a friend who does not forfeits the
job, and others are asked. Every other step of a job has its rule here too: decline, hand back,
schedule, start, complete, cancel, and what the desk does by hand. `visit` has the steps
between award and visit.

A rule takes a `Case` (the job under its lock, the moment, the policy, who acts) and returns:
- `Changes`: what is to be written;
- a `PendingFanOut` where friends are to be asked: the flow looks up who is near, and
  `fan_out.finish` completes the decision;
- None where nothing changes, because the step was taken before.

A step that is not allowed raises a `Refused` of `refusals`.
"""

from __future__ import annotations

from datetime import datetime

from data.enums import AwardState, BookingState, FriendState, OfferState, TimerKind
from data.records.ids import AwardId, OfferId, derived_id
from data.records.jobs import Appointment, Award, Changes, Offer, Protocol
from data.records.money import Charge
from data.records.people import Friend
from data.replace import replace
from dispatch.rules.jobs import cancellation, contact, fan_out, matching, visit
from dispatch.rules.jobs.draft import Case, Draft, Verdict, name_asked
from dispatch.rules.jobs.reasons import CancelReason, IncompleteReason
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    AppointmentTooLong,
    AppointmentUnfit,
    AtCapacity,
    CompletedTooEarly,
    ContactDeadlinePassed,
    FriendUnfit,
    NotInThisState,
    OfferExpired,
    OfferGone,
)
from dispatch.rules.jobs.states import HELD
from dispatch.rules.policy import HOUR
from dispatch.rules.trust import limits


def book(case: Case, booked_before: int = 0) -> Verdict:
    """Create a booking and ask the nearest friends at once."""
    draft = Draft(case)
    draft.change(round_limit=draft.policy.rounds, booked_before=booked_before)
    draft.add_event("booking.created", package=draft.booking.package)
    return fan_out.begin(draft)


def accept(case: Case, offer_id: OfferId, friend: Friend) -> Verdict:
    """Award the job to the first friend who accepts; the other live offers are lost.

    Raises OfferExpired, OfferGone, AtCapacity or TooManyToday. A repeated accept changes nothing
    while the friend has the job, and afterwards if it was completed; once it was taken back the
    offer is gone.
    """
    draft = Draft(case)
    offer = _offer(case, offer_id)
    if offer.state is OfferState.ACCEPTED:
        return None
    check_live(case.now, offer)
    if friend.state is FriendState.SUSPENDED or not matching.may_take(friend, case.job, case.now):
        raise OfferGone
    if friend.open_jobs >= friend.capacity:
        raise AtCapacity(f"you have {friend.open_jobs} open jobs; finish or hand back one first")
    limits.check_may_take(friend, case.policy)

    return award_to(draft, friend, offer_id)


def award_by_hand(case: Case, friend: Friend) -> Verdict:
    """Award the job for the desk to a friend who agreed by telephone; withdraw live offers."""
    draft = Draft(case)
    draft.require_state(BookingState.OPEN, BookingState.UNFILLED)
    if not matching.may_be_awarded(friend, case.job, case.now):
        raise FriendUnfit(
            "they must be active, old enough, below their capacity and not blocked by the customer"
        )
    closed = draft.close_live_offers(OfferState.WITHDRAWN)
    lost = [offer for offer in closed if offer.friend_id != friend.id]
    return _award(draft, friend, offer_id=None, **name_asked("lost", lost))


def decline(case: Case, offer_id: OfferId) -> Verdict:
    """Decline an offer and ask the next nearest at once."""
    draft = Draft(case)
    offer = _offer(case, offer_id)
    if offer.state is OfferState.DECLINED:
        return None
    check_live(case.now, offer)
    draft.close_offer(offer, OfferState.DECLINED)
    asked = {"company": str(offer.company)} if offer.company else {}
    draft.add_event("offer.declined", friend=str(offer.friend_id), offer=str(offer.id), **asked)
    return fan_out.begin(draft)


def confirm_contact(case: Case) -> Verdict:
    """Record the friend's word that they have reached the customer."""
    draft = Draft(case)
    if case.job.award and case.job.award.contacted_at:
        return None
    draft.require_state(BookingState.AWARDED)
    if case.now >= draft.held.contact_due_at:
        raise ContactDeadlinePassed
    contact.record(draft)
    return draft.changes()


def remind(case: Case) -> Verdict:
    """Remind the friend of the contact deadline, and set the next reminder."""
    draft = Draft(case)
    if draft.booking.state is not BookingState.AWARDED:
        draft.set_timer(TimerKind.CONTACT_REMINDER, None)
        return draft.changes()
    due = draft.held.contact_due_at
    draft.set_timer(TimerKind.CONTACT_REMINDER, _next_reminder(draft, after=case.now))
    draft.add_event("contact.reminded", friend=str(draft.held.friend_id), due_at=due.isoformat())
    return draft.changes()


def forfeit(case: Case) -> Verdict:
    """Take the job from a friend who missed the contact deadline, and ask others."""
    draft = Draft(case)
    if draft.booking.state is not BookingState.AWARDED:
        draft.set_timer(TimerKind.CONTACT_DEADLINE, None)
        return draft.changes()
    if case.now < draft.held.contact_due_at:
        draft.set_timer(TimerKind.CONTACT_DEADLINE, draft.held.contact_due_at)
        return draft.changes()
    award = draft.end_award(AwardState.FORFEITED, OfferState.FORFEITED)
    draft.add_event("contact.missed", friend=str(award.friend_id), award=str(award.id))
    return fan_out.restart(draft)


def hand_back(case: Case, reason: str, note: str | None, friend: Friend) -> Verdict:
    """Take the job back from its friend, keep the reason, and ask others.

    It is never refused for being one too many, but then the friend is paused until the desk acts.
    """
    draft = Draft(case)
    draft.alarm = limits.is_one_too_many(friend, case.policy)
    draft.require_state(BookingState.AWARDED, BookingState.CONTACTED, BookingState.SCHEDULED)
    draft.amend_award(protocol=Protocol(summary=note, minutes=0) if note else None)
    award = draft.end_award(AwardState.HANDED_BACK, OfferState.HANDED_BACK)
    draft.add_event("booking.handed_back", friend=str(award.friend_id), reason=reason)
    return fan_out.restart(draft)


def schedule(
    case: Case, starts_at: datetime, ends_at: datetime, taken: tuple[Appointment, ...]
) -> Verdict:
    """Set or move the appointment that friend and customer agreed on.

    `taken` are the friend's other appointments. Raises AppointmentUnfit or AppointmentOverlaps.
    """
    draft = Draft(case)
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED)
    contact.require_unpaused(draft)
    before = draft.held.appointment
    asked = draft.held.move_asked_at is not None
    if not asked and before and (before.starts_at, before.ends_at) == (starts_at, ends_at):
        return None
    if not case.now < starts_at < ends_at <= case.now + draft.policy.appointment_ahead:
        ahead = draft.policy.appointment_ahead.days
        raise AppointmentUnfit(f"it must begin in the future, end after that, within {ahead} days")
    if ends_at - starts_at > draft.policy.appointment_max:
        hours = draft.policy.appointment_max // HOUR
        raise AppointmentTooLong(f"it must end within {hours} hours of its beginning")
    if any(starts_at < other.ends_at and other.starts_at < ends_at for other in taken):
        raise AppointmentOverlaps
    revision = draft.seq
    draft.amend_award(
        appointment=Appointment(starts_at=starts_at, ends_at=ends_at, revision=revision),
        on_the_way_at=None,
        move_asked_at=None,
        move_wishes=(),
        marks=contact.kept_marks(draft.held),
    )
    draft.move_note = "" if asked else None
    draft.set_timer(TimerKind.AGREEMENT_DUE, None)
    draft.move(BookingState.SCHEDULED)
    draft.add_event(
        "booking.scheduled",
        friend=str(draft.held.friend_id),
        starts_at=starts_at.isoformat(),
        ends_at=ends_at.isoformat(),
        revision=revision,
    )
    return draft.changes()


def start(case: Case) -> Verdict:
    """Record that the visit has begun."""
    draft = Draft(case)
    if draft.booking.state is BookingState.UNDER_WAY:
        return None
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED)
    contact.require_unpaused(draft)
    draft.amend_award(started_at=case.now)
    draft.set_timer(TimerKind.AGREEMENT_DUE, None)
    draft.move(BookingState.UNDER_WAY)
    draft.add_event("booking.started", friend=str(draft.held.friend_id))
    return draft.changes()


def complete(case: Case, protocol: Protocol, signature: str | None = None) -> Verdict:
    """Complete a job that is solved: keep protocol and signature, create the charge.

    Raises CompletedTooEarly when so little time has passed that there was no visit, unless the
    customer has signed.
    """
    draft = Draft(case)
    if draft.booking.state is BookingState.COMPLETED:
        return None
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED, BookingState.UNDER_WAY)
    contact.require_unpaused(draft)
    if signature is None:
        earliest = visit.completion_possible_at(draft.held, case.job.package.minutes, draft.policy)
        if case.now < earliest:
            raise CompletedTooEarly(earliest)
    draft.amend_award(protocol=protocol)
    draft.signature = signature
    award = draft.end_award(AwardState.DONE)
    booking = draft.booking
    draft.charge = Charge(
        booking_id=booking.id,
        friend_id=award.friend_id,
        price=booking.price,
        pay=booking.pay,
        at=case.now,
        company=award.company,
    )
    draft.move(BookingState.COMPLETED)
    draft.add_event("booking.completed", friend=str(award.friend_id))
    return draft.changes()


def mark_incomplete(case: Case, reason: str, protocol: Protocol | None) -> Verdict:
    """Mark a visit that did not solve the problem; the desk decides what follows.

    That it needs a pro stays with the job: from then on pros alone are asked.
    """
    draft = Draft(case)
    if draft.booking.state is BookingState.INCOMPLETE:
        return None
    draft.require_state(BookingState.CONTACTED, BookingState.SCHEDULED, BookingState.UNDER_WAY)
    contact.require_unpaused(draft)
    draft.amend_award(protocol=protocol)
    award = draft.end_award(AwardState.RELEASED, OfferState.RELEASED)
    draft.change(needs_pro=draft.booking.needs_pro or reason == IncompleteReason.NEEDS_PRO)
    draft.move(BookingState.INCOMPLETE)
    draft.add_event("booking.incomplete", friend=str(award.friend_id), reason=reason)
    return draft.changes()


def cancel(case: Case, reason: str, fee_minor_max: int = 0, *, forgotten: bool = False) -> Verdict:
    """Cancel a booking: withdraw its live offers and release its friend.

    It may cost a fee. Raises FeeChanged when that is more than `fee_minor_max`, the fee that the
    customer confirmed. The customer of a `forgotten` booking gets no letter.
    """
    draft = Draft(case)
    if draft.booking.state is BookingState.CANCELLED:
        return None
    if draft.booking.state in (BookingState.UNDER_WAY, BookingState.COMPLETED):
        raise NotInThisState(f"it is {draft.booking.state}; ask the friend or the desk")
    fees = cancellation.charge_fee(draft, fee_minor_max)
    withdrawn = name_asked("withdrawn", draft.close_live_offers(OfferState.WITHDRAWN))
    friend = None
    if draft.booking.state in HELD:
        friend = str(draft.end_award(AwardState.RELEASED, OfferState.RELEASED).friend_id)
    draft.stop_timers()
    draft.move(BookingState.CANCELLED)
    if case.job.booking.state is BookingState.UNCONFIRMED:
        fees = {"unconfirmed": True}
    if forgotten:
        fees |= {"forgotten": True}
    draft.add_event("booking.cancelled", reason=reason, friend=friend, **withdrawn, **fees)
    return draft.changes()


def cancel_forgotten(case: Case) -> Verdict:
    """Cancel a booking that has not changed for so long that its customer is erased next."""
    if case.job.booking.state_at >= case.now - case.policy.customers_kept:
        return None
    return cancel(case, CancelReason.TOO_LONG, forgotten=True)


def redispatch(case: Case, needs_pro: bool | None = None) -> Verdict:
    """Ask friends again for the desk; a friend who holds the job is released.

    The desk may set or lift that the job `needs_pro`; else that stays as it is.
    """
    draft = Draft(case)
    draft.require_state(
        BookingState.UNCONFIRMED,
        BookingState.UNFILLED,
        BookingState.INCOMPLETE,
        BookingState.AWARDED,
        BookingState.CONTACTED,
        BookingState.SCHEDULED,
    )
    friend = None
    if draft.booking.state in HELD:
        friend = str(draft.end_award(AwardState.RELEASED, OfferState.RELEASED).friend_id)
    if needs_pro is not None:
        draft.change(needs_pro=needs_pro)
    draft.add_event("booking.redispatched", friend=friend)
    return fan_out.restart(draft)


def renew_link(case: Case) -> Verdict:
    """Make every link of the customer invalid and send a new one; the next call makes another."""
    draft = Draft(case)
    draft.require_state(*(state for state in BookingState if state is not BookingState.UNCONFIRMED))
    draft.change(link_generation=draft.booking.link_generation + 1)
    draft.add_event("link.renewed")
    return draft.changes()


def award_to(draft: Draft, friend: Friend, offer_id: OfferId) -> Changes:
    """Award the job by a live offer; the others are lost."""
    offer = next(offer for offer in draft.job.offers if offer.id == offer_id)
    draft.close_offer(offer, OfferState.ACCEPTED)
    lost = draft.close_live_offers(OfferState.LOST)
    return _award(draft, friend, offer_id=offer_id, **name_asked("lost", lost))


def _award(draft: Draft, friend: Friend, *, offer_id: OfferId | None, **lost: list[str]) -> Changes:
    draft.change(tier=friend.tier)
    booking, within = draft.booking, draft.policy.contact_within
    due = draft.now + within
    award_id = AwardId(derived_id(booking.id, "award", draft.seq))
    draft.add_award(
        Award(
            id=award_id,
            booking_id=booking.id,
            friend_id=friend.id,
            offer_id=offer_id,
            round=booking.round,
            state=AwardState.LIVE,
            awarded_at=draft.now,
            contact_due_at=due,
            contact_within_s=int(within.total_seconds()),
            company=friend.company,
        )
    )
    draft.stop_timers()
    draft.set_timer(TimerKind.CONTACT_DEADLINE, due)
    draft.set_timer(TimerKind.CONTACT_REMINDER, _next_reminder(draft, after=draft.now))
    draft.move(BookingState.AWARDED)
    draft.add_event(
        "booking.awarded",
        friend=str(friend.id),
        award=str(award_id),
        due_at=due.isoformat(),
        **lost,
    )
    return draft.changes()


def _offer(case: Case, offer_id: OfferId) -> Offer:
    return next(offer for offer in case.job.offers if offer.id == offer_id)


def check_live(now: datetime, offer: Offer) -> None:
    """Raise OfferExpired or OfferGone unless the offer can be answered."""
    over = offer.state is OfferState.LIVE and now >= offer.expires_at
    if over or offer.state is OfferState.EXPIRED:
        raise OfferExpired
    if offer.state is not OfferState.LIVE:
        raise OfferGone


def _next_reminder(draft: Draft, *, after: datetime) -> datetime | None:
    due = draft.held.contact_due_at
    ahead = (due - before for before in draft.policy.contact_reminders)
    return min((moment for moment in ahead if moment > after), default=None)


def initial_award(award: Award) -> Award:
    """The award as it was when accepted: the answer to a repeated accept."""
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
        marks={},
    )
