"""What must be true after every decision; S1 to S15 of the invariants, and the events' numbers.

Everything is judged from outside: who was fit and who was nearest is worked out here anew, without
the product's own matching.
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
LISTED = states.transitions()
TWELVE_HOURS = timedelta(seconds=43_200)


class Broken(AssertionError):
    """A promise that does not hold, by its name."""


CHARGED = frozenset({BookingState.COMPLETED, BookingState.CANCELLED})


def hold(truth: object, promise: str) -> None:
    """Raise Broken unless it is so."""
    if not truth:
        raise Broken(promise)


def of_job(job: Job) -> None:
    """What is true of every job at rest."""
    booking, live, award = job.booking, job.live, job.award
    hold(len(live) <= 4, "S4 at most four live offers")
    hold(len({offer.slot for offer in live}) == len(live), "S4 each live offer has its own slot")
    hold(all(1 <= offer.slot <= 4 for offer in live), "S4 slots are 1 to 4")
    hold(all(o.round == booking.round for o in live), "S9 live offers are of the present round")
    accepted = [o for o in job.offers if o.state is OfferState.ACCEPTED]
    hold(len(accepted) <= 1, "S2 one winner")
    rounds = Counter(o.round for o in job.offers if o.state in WINNERS)
    hold(max(rounds.values(), default=0) <= 1, "S1 one winner a round")
    done = booking.state is BookingState.COMPLETED
    hold((booking.state in HELD or done) == (award is not None), "S13 held if and only if awarded")
    hold(bool(live) == (booking.state is BookingState.OPEN), "S15 L1 open while somebody is asked")
    if award is not None:
        hold(booking.award_id == award.id, "S13 the booking knows its award")
        hold(award.contact_due_at - award.awarded_at == TWELVE_HOURS, "L9 twelve hours")
        hold(award.state is (AwardState.DONE if done else AwardState.LIVE), "S13 its award lives")
        if award.offer_id is not None:
            hold([o.id for o in accepted] == [award.offer_id], "S3 the award is of its offer")
    else:
        hold(not accepted, "S3 no accepted offer without an award")
    _timers(job)


def _timers(job: Job) -> None:
    timers, state = job.timers, job.booking.state
    expiry = min((o.expires_at for o in job.live), default=None)
    hold(timers.get(TimerKind.OFFERS_EXPIRE) == expiry, "L3 the expiry timer is the first offer's")
    due = job.award.contact_due_at if job.award and state is BookingState.AWARDED else None
    hold(timers.get(TimerKind.CONTACT_DEADLINE) == due, "L2 the deadline is the award's")
    if TimerKind.CONTACT_REMINDER in timers:
        hold(due and timers[TimerKind.CONTACT_REMINDER] < due, "L2 reminders before the deadline")
    if TimerKind.RETRY in timers:
        hold(state is BookingState.UNFILLED, "L4 only what is unfilled is tried again")
    if state in (BookingState.CANCELLED, BookingState.COMPLETED):
        hold(not timers, "S15 no timer after the end")


def of_step(before: Job, changes: Changes, after: Job, now: datetime) -> None:
    """What is true of every decision."""
    old, new = before.booking, changes.booking
    if changes.customer is None and old.state is not new.state:
        hold(("bookings", old.state, new.state) in LISTED, f"S12 {old.state} to {new.state}")
    known = {offer.id: offer for offer in before.offers}
    for offer in changes.offers:
        was = known[offer.id].state if offer.id in known else ""
        hold(("offers", was, offer.state) in LISTED, f"S12 offer {was} to {offer.state}")
        if offer.state is OfferState.ACCEPTED:
            hold(now < offer.expires_at, "S9 accepted before it expired")
        if offer.state is OfferState.EXPIRED:
            hold(now >= offer.expires_at, "L2 expired no sooner than its time")
    seqs = [event.seq for event in changes.events]
    wanted = list(range(old.event_seq + 1, old.event_seq + 1 + len(seqs)))
    hold(seqs == wanted and new.event_seq == old.event_seq + len(seqs), "D6 no gap in the events")
    if changes.award is not None and changes.award.state is AwardState.FORFEITED:
        hold(now >= changes.award.contact_due_at, "L2 forfeited no sooner than twelve hours")
        hold(changes.award.contacted_at is None, "L2 forfeited only without contact")
    charged = changes.charge.price.amount if changes.charge else 0
    owed = new.cancel_fee_minor
    if new.state is BookingState.COMPLETED and old.state is not BookingState.COMPLETED:
        owed = new.price.amount
    hold(charged == owed - old.cancel_fee_minor, "M3 charged when completed, or cancelled late")
    hold(owed == 0 or new.state in CHARGED, "M3 nothing owed before the end")
    for decision in changes.decisions:
        ids = [line.friend_id for line in decision.friends]
        hold(len(ids) == len(set(ids)), "one outcome for each friend")


def refused_before(job: Job, offer: Offer) -> bool:
    """Whether the friend of a new offer has refused or lost this job already."""
    again = any(
        o.friend_id == offer.friend_id and o.state in REFUSED and o.id != offer.id
        for o in job.offers
    )
    return again or offer.friend_id in job.former


def fit(friend: Friend, away_m: float, job: Job, live_offers: int, most: int) -> bool:
    """Whether this friend may be asked for this job, worked out anew."""
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


def nearest(
    job: Job, changes: Changes, fits: Iterable[tuple[float, FriendId]], was_live: int
) -> None:
    """S7: the new offers are the nearest of those who were fit, and no place was left empty."""
    new = {o.friend_id for o in changes.offers if o.state is OfferState.LIVE}
    expected = sorted(fits)[: 4 - was_live]
    hold(new == {friend_id for _, friend_id in expected}, "S7 the nearest who are fit")
    for decision in changes.decisions:
        told = {f.friend_id for f in decision.friends if f.outcome is Outcome.OFFERED}
        hold(new <= told, "S7 the decision names whom it asked")


def apart(appointments: list[Appointment]) -> None:
    """S14: the appointments of one friend do not overlap."""
    ordered = sorted(appointments, key=lambda a: a.starts_at)
    for one, two in pairwise(ordered):
        hold(one.ends_at <= two.starts_at, "S14 no two appointments at once")
