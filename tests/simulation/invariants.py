"""The invariants after every decision: S1 to S15, and the numbers of events.

They are checked independently: who was fit and nearest is computed here without the product's
matching.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from data.enums import AwardState, BookingState, FriendState, OfferState, Outcome, TimerKind
from data.records.ids import FriendId
from data.records.jobs import Appointment, Changes, Job, Offer
from data.records.people import Friend
from dispatch.rules.jobs import states

HELD = {
    BookingState.AWARDED,
    BookingState.CONTACTED,
    BookingState.SCHEDULED,
    BookingState.UNDER_WAY,
}
WINNERS = {
    OfferState.ACCEPTED,
    OfferState.FORFEITED,
    OfferState.HANDED_BACK,
    OfferState.RELEASED,
}
REFUSED = {OfferState.DECLINED, OfferState.EXPIRED} | (WINNERS - {OfferState.ACCEPTED})
TRANSITIONS = states.transitions()
TWELVE_HOURS = timedelta(seconds=43_200)


class InvariantViolated(AssertionError):
    """An invariant, by its name, does not hold."""


CHARGED = frozenset({BookingState.COMPLETED, BookingState.CANCELLED})


def require(condition: object, invariant: str) -> None:
    """Raise InvariantViolated unless the condition is true."""
    if not condition:
        raise InvariantViolated(invariant)


def check_job(job: Job) -> None:
    """Check the invariants of a job."""
    booking, live, award = job.booking, job.live, job.award
    require(len(live) <= 4, "S4 at most four live offers")
    require(len({offer.slot for offer in live}) == len(live), "S4 each live offer has its own slot")
    require(all(1 <= offer.slot <= 4 for offer in live), "S4 slots are 1 to 4")
    require(all(o.round == booking.round for o in live), "S9 live offers are of the present round")
    accepted = [o for o in job.offers if o.state is OfferState.ACCEPTED]
    require(len(accepted) <= 1, "S2 one winner")
    rounds = Counter(o.round for o in job.offers if o.state in WINNERS)
    require(max(rounds.values(), default=0) <= 1, "S1 one winner a round")
    done = booking.state is BookingState.COMPLETED
    require(
        (booking.state in HELD or done) == (award is not None), "S13 held if and only if awarded"
    )
    require(
        bool(live) == (booking.state is BookingState.OPEN), "S15 L1 open while somebody is asked"
    )
    if award is not None:
        require(booking.award_id == award.id, "S13 the booking knows its award")
        require(award.contact_due_at - award.awarded_at == TWELVE_HOURS, "L9 twelve hours")
        require(
            award.state is (AwardState.DONE if done else AwardState.LIVE), "S13 its award lives"
        )
        if award.offer_id is not None:
            require([o.id for o in accepted] == [award.offer_id], "S3 the award is of its offer")
    else:
        require(not accepted, "S3 no accepted offer without an award")
    _check_timers(job)


def _check_timers(job: Job) -> None:
    timers, state, award = job.timers, job.booking.state, job.award
    expiry = min((o.expires_at for o in job.live), default=None)
    require(
        timers.get(TimerKind.OFFERS_EXPIRE) == expiry, "L3 the expiry timer is the first offer's"
    )
    due = job.award.contact_due_at if job.award and state is BookingState.AWARDED else None
    require(timers.get(TimerKind.CONTACT_DEADLINE) == due, "L2 the deadline is the award's")
    if TimerKind.CONTACT_REMINDER in timers:
        require(
            due and timers[TimerKind.CONTACT_REMINDER] < due, "L2 reminders before the deadline"
        )
    paused = award is not None and award.marks.get("contact_contest") == "open"
    answer_by = award.marks["answer_by"] if award is not None and paused else None
    contest = timers.get(TimerKind.CONTACT_CONTESTED)
    require(
        (contest.isoformat() if contest else None) == answer_by, "L2 a contest has its deadline"
    )
    require(not paused or state is BookingState.CONTACTED, "S12 only a claimed contact is paused")
    if TimerKind.RETRY in timers:
        require(state is BookingState.UNFILLED, "L4 only what is unfilled is tried again")
    if state in (BookingState.CANCELLED, BookingState.COMPLETED):
        require(not timers, "S15 no timer after the end")


def check_decision(before: Job, changes: Changes, after: Job, now: datetime) -> None:
    """Check the invariants of a decision."""
    old, new = before.booking, changes.booking
    if changes.customer is None and old.state is not new.state:
        require(
            ("bookings", old.state, new.state) in TRANSITIONS, f"S12 {old.state} to {new.state}"
        )
    known = {offer.id: offer for offer in before.offers}
    for offer in changes.offers:
        was = known[offer.id].state if offer.id in known else ""
        require(("offers", was, offer.state) in TRANSITIONS, f"S12 offer {was} to {offer.state}")
        if offer.state is OfferState.ACCEPTED:
            require(now < offer.expires_at, "S9 accepted before it expired")
        if offer.state is OfferState.EXPIRED:
            require(now >= offer.expires_at, "L2 expired no sooner than its time")
    seqs = [event.seq for event in changes.events]
    wanted = list(range(old.event_seq + 1, old.event_seq + 1 + len(seqs)))
    require(
        seqs == wanted and new.event_seq == old.event_seq + len(seqs), "D6 no gap in the events"
    )
    if changes.award is not None and changes.award.state is AwardState.FORFEITED:
        require(now >= changes.award.contact_due_at, "L2 forfeited no sooner than twelve hours")
        require(changes.award.contacted_at is None, "L2 forfeited only without contact")
    charged = changes.charge.price.amount if changes.charge else 0
    owed = new.cancel_fee_minor
    if new.state is BookingState.COMPLETED and old.state is not BookingState.COMPLETED:
        owed = new.price.amount
    require(charged == owed - old.cancel_fee_minor, "M3 charged when completed, or cancelled late")
    require(owed == 0 or new.state in CHARGED, "M3 nothing owed before the end")
    for decision in changes.decisions:
        ids = [line.friend_id for line in decision.friends]
        require(len(ids) == len(set(ids)), "one outcome for each friend")


def has_refused(job: Job, offer: Offer) -> bool:
    """Whether the friend of a new offer has refused or lost this job already."""
    again = any(
        o.friend_id == offer.friend_id and o.state in REFUSED and o.id != offer.id
        for o in job.offers
    )
    return again or offer.friend_id in job.former


def is_fit(friend: Friend, away_m: float, job: Job, live_offers: int, most: int) -> bool:
    """Whether this friend may be asked for this job, computed independently."""
    held = {certificate.code for certificate in friend.certificates}
    return (
        friend.state is FriendState.ACTIVE
        and job.package.certificates <= held
        and job.booking.language in friend.languages
        and away_m <= friend.radius_m
        and job.booking.customer_key not in friend.blocked
        and friend.open_jobs < friend.capacity
        and live_offers < most
    )


def check_nearest(
    job: Job, changes: Changes, fits: Iterable[tuple[float, FriendId]], was_live: int
) -> None:
    """S7: the new offers are those of the nearest fit friends, and no slot is left empty."""
    new = {o.friend_id for o in changes.offers if o.state is OfferState.LIVE}
    expected = sorted(fits)[: 4 - was_live]
    require(new == {friend_id for _, friend_id in expected}, "S7 the nearest who are fit")
    for decision in changes.decisions:
        named = {f.friend_id for f in decision.friends if f.outcome is Outcome.OFFERED}
        require(new <= named, "S7 the decision names the friends asked")


def check_favourite(
    job: Job, changes: Changes, fits: Iterable[Iterable[tuple[float, FriendId]]], now: datetime
) -> bool:
    """S7: a favourite who is fit is asked first, alone and for half an hour; whether they are."""
    favourite = job.booking.favourite_id
    if favourite is None or job.booking.round:
        return False
    if not any(favourite == friend_id for found in fits for _, friend_id in found):
        return False
    asked = [(o.friend_id, o.slots, o.expires_at - now) for o in changes.offers]
    require(asked == [(favourite, 1, timedelta(minutes=30))], "S7 the favourite alone")
    return True


def check_no_overlap(appointments: list[Appointment]) -> None:
    """S14: the appointments of one friend do not overlap."""
    ordered = sorted(appointments, key=lambda a: a.starts_at)
    for one, two in pairwise(ordered):
        require(one.ends_at <= two.starts_at, "S14 no two appointments at once")
