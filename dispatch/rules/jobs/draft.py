"""A decision in the making: collects changes, numbers events, checks state transitions.

A rule returns `Changes`, or a `PendingFanOut` when it needs to know who is near.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from data.enums import AwardState, BookingState, OfferState, TimerKind
from data.records.decisions import Decision
from data.records.ids import FriendId, OfferId
from data.records.jobs import Award, Booking, Changes, Job, Offer, Rating
from data.records.messages import Event, Message
from data.records.money import Charge
from data.records.people import Person
from data.records.reviews import ReviewDecision
from data.records.threads import Note, Thread
from data.replace import replace
from dispatch.rules.jobs import events, matching, notifications, states
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.policy import Policy

SYSTEM: Final = "system"
"""The actor of what nobody does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The facts of one decision: the job under its lock, the moment, the policy, and who acts."""

    job: Job
    now: datetime
    policy: Policy
    actor: str
    customer: Person | None = None


class Draft:
    """The job as one rule changes it; mutable only while that rule runs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.now = case.now
        self.booking = case.job.booking
        self.seq = case.job.booking.event_seq
        self.award = case.job.award
        self._award_changed = self._award_is_new = False
        self._before = case.job.booking.state
        self._former = dict(case.job.former)
        self._offers: dict[OfferId, Offer] = {offer.id: offer for offer in case.job.offers}
        self._changed: dict[OfferId, Offer] = {}
        self._timers: dict[TimerKind, datetime | None] = {}
        self._events: list[Event] = []
        self._decisions: list[Decision] = []
        self._open_jobs: dict[FriendId, int] = {}
        self.rating: Rating | None = None
        self.review: Rating | None = None
        self.decision_on_review: ReviewDecision | None = None
        self.charge: Charge | None = None
        self.reversed_at: datetime | None = None
        self.signature: str | None = None
        self.move_note: str | None = None
        self.confirmed_at: datetime | None = None
        self.alarm = False
        self.thread: Thread | None = None
        self.note: Note | None = None
        self.letters: list[Message] = []
        self.passed: dict[OfferId, FriendId] = {}

    @property
    def live(self) -> list[Offer]:
        """The offers still open after what has been decided so far."""
        return [o for o in self._offers.values() if o.state is OfferState.LIVE]

    @property
    def job(self) -> Job:
        """The job as it stands after what has been decided so far."""
        return replace(
            self.case.job,
            booking=replace(self.booking, event_seq=self.seq),
            offers=tuple(self._offers.values()),
            award=self.award if self.booking.award_id else None,
            former=self._former,
        )

    @property
    def policy(self) -> Policy:
        """The numbers for this job: by its package and the tier that is asked now."""
        return self.case.policy.at(self.booking.tier, self.booking.package)

    def add_event(self, kind: str, **data: Any) -> int:
        """Record a fact and return its number; `events` declares every kind and its data."""
        if "friend" in data and self.award is not None and self.award.company is not None:
            data["company"] = str(self.award.company)
        events.check(kind, data)
        self.seq += 1
        self._events.append(
            Event(
                booking_id=self.booking.id,
                seq=self.seq,
                kind=kind,
                at=self.now,
                actor=SYSTEM if events.EVENTS[kind].automatic else self.case.actor,
                data=data,
            )
        )
        return self.seq

    def add_decision(self, decision: Decision) -> None:
        """Add the record of a fan-out."""
        self._decisions.append(decision)

    def require_state(self, *states: BookingState) -> None:
        """Raise NotInThisState unless the booking is in one of these states."""
        if self.booking.state not in states:
            wanted = ", ".join(states)
            raise NotInThisState(f"it is {self.booking.state}; this needs it to be: {wanted}")

    def move(self, state: BookingState) -> Self:
        """Move the booking; the step from where it was before this decision must be legal."""
        if self._before is not state:
            states.step(states.BOOKING, self._before, state)
        self.booking = replace(self.booking, state=state, state_at=self.now)
        return self

    def change(self, **fields: Any) -> Self:
        """Change fields of the booking other than its state."""
        self.booking = replace(self.booking, **fields)
        return self

    def add_offer(self, offer: Offer) -> None:
        """Add a new live offer."""
        self._offers[offer.id] = self._changed[offer.id] = offer

    def close_offer(self, offer: Offer, state: OfferState) -> None:
        """Close an offer with `state`. Raises IllegalTransition."""
        states.step(states.OFFER, offer.state, state)
        closed = replace(offer, state=state, answered_at=offer.answered_at or self.now)
        self._offers[offer.id] = self._changed[offer.id] = closed

    def close_live_offers(self, state: OfferState) -> list[Offer]:
        """Close every live offer; returns them."""
        closed = self.live
        for offer in closed:
            self.close_offer(offer, state)
        return closed

    def add_award(self, award: Award) -> None:
        """Set the award of the job; its friend's open jobs grow by one."""
        self.award, self._award_changed, self._award_is_new = award, True, True
        self.booking = replace(self.booking, award_id=award.id)
        self._count(award.friend_id, +1)

    def pass_award(self, friend_id: FriendId) -> None:
        """Give the award, and its offer, to another technician of its company."""
        award = self.held
        self._count(award.friend_id, -1)
        self._count(friend_id, +1)
        self.amend_award(friend_id=friend_id)
        if award.offer_id is not None:
            self.pass_offer(self._offers[award.offer_id], friend_id)

    def pass_offer(self, offer: Offer, friend_id: FriendId) -> Offer:
        """Have an offer to a company stand with another of its technicians."""
        if offer.state is OfferState.LIVE:
            self.passed[offer.id] = offer.friend_id
        passed = replace(offer, friend_id=friend_id)
        self._offers[offer.id] = self._changed[offer.id] = passed
        return passed

    def amend_award(self, **fields: Any) -> None:
        """Change fields of the award other than its state."""
        self.award, self._award_changed = replace(self.held, **fields), True

    def end_award(self, state: AwardState, offer_state: OfferState | None = None) -> Award:
        """End the award; if it was live, its friend's open jobs shrink by one.

        Unless it is done, the booking has no award afterwards and its friend is a former one.
        """
        award = self.held
        states.step(states.AWARD, award.state, state)
        self.award = replace(award, state=state, ended_at=award.ended_at or self.now)
        self._award_changed = True
        if award.state is AwardState.LIVE:
            self._count(award.friend_id, -1)
        self.set_timer(TimerKind.AGREEMENT_DUE, None)
        self.set_timer(TimerKind.CONTACT_CONTESTED, None)
        if state is not AwardState.DONE:
            self._former[award.friend_id] = state
            self.booking = replace(self.booking, award_id=None)
            # The note on another time was meant for this friend only.
            self.move_note = "" if award.move_asked_at is not None else None
        if offer_state is not None and award.offer_id is not None:
            self.close_offer(self._offers[award.offer_id], offer_state)
        return self.award

    @property
    def held(self) -> Award:
        """The award of this job; rules check the state first. Raises IllegalTransition."""
        if self.award is None:
            raise states.IllegalTransition("this booking is not awarded")
        return self.award

    def set_timer(self, kind: TimerKind, due: datetime | None) -> None:
        """Set a timer, or stop it with None."""
        if due is not None or kind in self.case.job.timers or kind in self._timers:
            self._timers[kind] = due

    def stop_timers(self) -> None:
        """Stop every timer of the job."""
        for kind in TimerKind:
            self.set_timer(kind, None)

    def changes(self) -> Changes:
        """What is to be written, with the messages for the new events."""
        return Changes(
            booking=replace(self.booking, event_seq=self.seq),
            customer=self.case.customer,
            offers=tuple(self._changed.values()),
            award=self.award if self._award_changed else None,
            award_is_new=self._award_is_new,
            timers=self._timers,
            events=tuple(self._events),
            messages=(
                *(m for e in self._events for m in notifications.messages(self.booking, e)),
                *self.letters,
            ),
            decisions=tuple(self._decisions),
            open_jobs=self._count_map(),
            rating=self.rating,
            review=self.review,
            decision_on_review=self.decision_on_review,
            charge=self.charge,
            reversed_at=self.reversed_at,
            signature=self.signature,
            move_note=self.move_note,
            confirmed_at=self.confirmed_at,
            alarm=self.alarm,
            passed=self.passed,
            thread=self.thread,
            note=self.note,
        )

    def _count(self, friend: FriendId, by: int) -> None:
        self._open_jobs[friend] = self._open_jobs.get(friend, 0) + by

    def _count_map(self) -> Mapping[FriendId, int]:
        return {friend: by for friend, by in self._open_jobs.items() if by}


def name_asked(field: str, offers: Iterable[Offer]) -> dict[str, list[str]]:
    """Who had these offers, for an event: friends in `field`, and companies if there are any."""
    alone = [str(offer.friend_id) for offer in offers if offer.company is None]
    companies = [str(offer.company) for offer in offers if offer.company is not None]
    return {field: alone, "companies": companies} if companies else {field: alone}


@dataclass(frozen=True, slots=True)
class PendingFanOut:
    """A decision that waits for the friends nearby.

    `job` is the job as decided so far, `needs` what to look for, in order, and `want` how many
    friends to ask. A `favourite` is asked first, and alone, if they may be asked.
    """

    draft: Draft
    job: Job
    needs: tuple[matching.Need, ...]
    want: int
    favourite: FriendId | None = None

    @property
    def booking(self) -> Booking:
        """The booking as decided so far."""
        return self.draft.booking


Verdict = Changes | PendingFanOut | None
"""What a rule answers; None when nothing is to change."""
