"""A booking with everything that belongs to it, and the input and output of every decision.

`Job` is a booking with all its facts, loaded under its lock. `Changes` holds the rows that one
decision writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from data.enums import AwardState, BookingState, OfferState, Tier, TimerKind, Wish
from data.markets import Language, Market
from data.records.catalogue import Package
from data.records.decisions import Decision
from data.records.errands import Errand
from data.records.ids import (
    AwardId,
    BookingId,
    CompanyId,
    CustomerKey,
    FriendId,
    OfferId,
    PartnerId,
    PersonId,
)
from data.records.messages import Event, Message
from data.records.money import Charge, Money
from data.records.people import Person
from data.records.reviews import ReviewDecision
from data.records.threads import Note, Thread
from data.replace import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One customer's order of one package at one place; its exact point is the customer's.

    `favourite_id` is the friend that the customer wants to be asked first, and alone.
    """

    id: BookingId
    state: BookingState
    package: str
    market: Market
    language: Language
    customer_id: PersonId
    customer_key: CustomerKey
    partner_id: PartnerId | None
    partner_reference: str | None
    members_only: bool
    wishes: tuple[Wish, ...]
    price: Money
    pay: Money
    lat: float
    lon: float
    cell_lat: float
    cell_lon: float
    cell_label: str
    created_at: datetime
    state_at: datetime
    tier: Tier
    package_version: int = 1
    round: int = 0
    round_limit: int = 0
    event_seq: int = 0
    award_id: AwardId | None = None
    cancel_fee_minor: int = 0
    wrong_codes: int = 0
    booked_before: int = 0
    link_generation: int = 0
    needs_pro: bool = False
    favourite_id: FriendId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An offer of one booking to one friend. `distance_m` is exact; `shown_m` may be shown.

    An offer to a `company` stands with its nearest technician; accepting moves it to the one who
    gets the job.
    """

    id: OfferId
    booking_id: BookingId
    friend_id: FriendId
    round: int
    slot: int
    slots: int
    state: OfferState
    distance_m: int
    shown_m: int
    radius_m: int
    offered_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    company: CompanyId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    starts_at: datetime
    ends_at: datetime
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The friend's report at the end: what was done and how long it took."""

    summary: str
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """The job given to a friend; `offer_id` is missing only when the desk awarded it by hand.

    A job of a `company` is paid to it, and its dispatchers may give it to another technician.
    """

    id: AwardId
    booking_id: BookingId
    friend_id: FriendId
    offer_id: OfferId | None
    round: int
    state: AwardState
    awarded_at: datetime
    contact_due_at: datetime
    contact_within_s: int
    contacted_at: datetime | None = None
    appointment: Appointment | None = None
    on_the_way_at: datetime | None = None
    move_asked_at: datetime | None = None
    move_wishes: tuple[Wish, ...] = ()
    disputed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    protocol: Protocol | None = None
    company: CompanyId | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What one side says of the other; `shown_at` is when at the latest the other sees it."""

    booking_id: BookingId
    friend_id: FriendId
    stars: int
    comment: str | None
    at: datetime
    shown_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A booking with all its facts, loaded under its lock.

    `former` maps the previous holders to how their award ended; `rated` by the customer, and
    `reviewed` by the friend, since the last completion.
    """

    booking: Booking
    package: Package
    offers: tuple[Offer, ...] = ()
    award: Award | None = None
    former: Mapping[FriendId, AwardState] = field(default_factory=dict)
    timers: Mapping[TimerKind, datetime] = field(default_factory=dict)
    rated: bool = False
    reviewed: bool = False

    @property
    def live(self) -> tuple[Offer, ...]:
        """The offers still live, even if they have expired by now."""
        return tuple(offer for offer in self.offers if offer.state is OfferState.LIVE)

    def after(self, changes: Changes) -> Job:
        """Return the job as it is once `changes` are written."""
        offers = {offer.id: offer for offer in self.offers}
        offers.update((offer.id, offer) for offer in changes.offers)
        timers = {**self.timers, **changes.timers}
        award, former = changes.award or self.award, self.former
        if award is not None and award.state not in LIVING_AWARDS:
            former = {**former, award.friend_id: award.state}
            award = None
        return replace(
            self,
            booking=changes.booking,
            offers=tuple(offers.values()),
            award=award,
            former=former,
            timers={kind: due for kind, due in timers.items() if due is not None},
            rated=changes.rating is not None or (self.rated and changes.reversed_at is None),
            reviewed=changes.review is not None or (self.reviewed and changes.reversed_at is None),
        )


LIVING_AWARDS = frozenset({AwardState.LIVE, AwardState.DONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """One decision: the new state of the booking and all rows that go with it.

    `timers` maps a kind to its new due time, or to None to stop it. `open_jobs` is added to the
    friends' counters. `customer` is set for a new booking only; `signature` and `move_note` are
    stored with the customer, and an empty `move_note` clears the last. An `alarm` pauses the friend
    who handed the job back. `errands` are calls whose answer decides; `passed` are the friends
    that offers to companies stood with before. With `confirmed_at` the
    customer's mail address and telephone number are known as confirmed from that moment; with
    `reversed_at` the last charge of the booking is reversed, and both reviews of it void: the
    customer's `rating` and the friend's `review`.
    """

    booking: Booking
    customer: Person | None = None
    offers: tuple[Offer, ...] = ()
    award: Award | None = None
    award_is_new: bool = False
    timers: Mapping[TimerKind, datetime | None] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    messages: tuple[Message, ...] = ()
    errands: tuple[Errand, ...] = ()
    decisions: tuple[Decision, ...] = ()
    open_jobs: Mapping[FriendId, int] = field(default_factory=dict)
    rating: Rating | None = None
    review: Rating | None = None
    decision_on_review: ReviewDecision | None = None
    charge: Charge | None = None
    reversed_at: datetime | None = None
    signature: str | None = None
    move_note: str | None = None
    confirmed_at: datetime | None = None
    alarm: bool = False
    passed: Mapping[OfferId, FriendId] = field(default_factory=dict)
    thread: Thread | None = None
    note: Note | None = None

    @property
    def taken_by(self) -> FriendId | None:
        """The friend who gets the job, and the customer's data, by this decision."""
        award = self.award
        return award.friend_id if award and self.open_jobs.get(award.friend_id, 0) > 0 else None

    @property
    def handed_back_by(self) -> FriendId | None:
        """The friend who hands the job back by this decision."""
        back = self.award is not None and self.award.state is AwardState.HANDED_BACK
        return self.award.friend_id if self.award and back else None
