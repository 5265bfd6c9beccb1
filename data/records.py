"""The nouns of the trade: frozen records, one per table, and the two bundles every decision needs.

`Job` is a booking with all its facts, loaded under its lock. `Changes` is what one decision wants
written. Everything else here is a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple, NewType
from uuid import UUID

from data.copies import changed

PersonId = NewType("PersonId", UUID)
FriendId = NewType("FriendId", UUID)
PartnerId = NewType("PartnerId", UUID)
BookingId = NewType("BookingId", UUID)
OfferId = NewType("OfferId", UUID)
AwardId = NewType("AwardId", UUID)
MessageId = NewType("MessageId", UUID)
CustomerKey = NewType("CustomerKey", str)


class Market(StrEnum):
    CH = "CH"
    DE = "DE"
    AT = "AT"
    PL = "PL"


class Language(StrEnum):
    DE = "de"
    EN = "en"
    FR = "fr"
    IT = "it"
    PL = "pl"


class Currency(StrEnum):
    CHF = "CHF"
    EUR = "EUR"
    PLN = "PLN"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """A country as the trade sees it: currency, time zone and the language spoken by default."""

    currency: Currency
    timezone: str
    language: Language


MARKETS: Mapping[Market, MarketFacts] = {
    Market.CH: MarketFacts(currency=Currency.CHF, timezone="Europe/Zurich", language=Language.DE),
    Market.DE: MarketFacts(currency=Currency.EUR, timezone="Europe/Berlin", language=Language.DE),
    Market.AT: MarketFacts(currency=Currency.EUR, timezone="Europe/Vienna", language=Language.DE),
    Market.PL: MarketFacts(currency=Currency.PLN, timezone="Europe/Warsaw", language=Language.PL),
}


class Tier(StrEnum):
    FRIEND = "friend"
    PRO = "pro"


class PackageTier(StrEnum):
    FRIEND = "friend"
    PRO = "pro"
    FRIEND_THEN_PRO = "friend_then_pro"


class FriendState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"


class BookingState(StrEnum):
    OPEN = "open"
    AWARDED = "awarded"
    CONTACTED = "contacted"
    SCHEDULED = "scheduled"
    UNDER_WAY = "under_way"
    COMPLETED = "completed"
    UNFILLED = "unfilled"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"


class OfferState(StrEnum):
    LIVE = "live"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    LOST = "lost"
    WITHDRAWN = "withdrawn"
    FORFEITED = "forfeited"
    HANDED_BACK = "handed_back"
    RELEASED = "released"


class AwardState(StrEnum):
    LIVE = "live"
    DONE = "done"
    FORFEITED = "forfeited"
    HANDED_BACK = "handed_back"
    RELEASED = "released"


class TimerKind(StrEnum):
    OFFERS_EXPIRE = "offers_expire"
    CONTACT_REMINDER = "contact_reminder"
    CONTACT_DEADLINE = "contact_deadline"
    RETRY = "retry"


class Outcome(StrEnum):
    """Why a friend in the frame was asked, or was not: exactly one each."""

    OFFERED = "OFFERED"
    RANKED_BELOW_K = "RANKED_BELOW_K"
    INACTIVE = "INACTIVE"
    UNREACHABLE = "UNREACHABLE"
    WRONG_MARKET = "WRONG_MARKET"
    WRONG_TIER = "WRONG_TIER"
    NOT_CERTIFIED = "NOT_CERTIFIED"
    NO_SHARED_LANGUAGE = "NO_SHARED_LANGUAGE"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    OUT_OF_RADIUS = "OUT_OF_RADIUS"
    BLOCKED = "BLOCKED"
    EXCLUDED = "EXCLUDED"
    AT_CAPACITY = "AT_CAPACITY"
    TOO_MANY_OFFERS = "TOO_MANY_OFFERS"
    QUIET_HOURS = "QUIET_HOURS"


class Channel(StrEnum):
    PUSH = "push"
    MAIL = "mail"
    WEBHOOK = "webhook"


class Wish(StrEnum):
    """When the customer would like the visit; never free text, which could tell who she is."""

    SOON = "soon"
    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"
    WEEKEND = "weekend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units (Rappen, cents, groszy) of one currency."""

    amount: int
    currency: Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageText:
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A service package of the catalogue."""

    code: str
    category: str
    tier: PackageTier
    minutes: int
    certificates: frozenset[str]
    texts: Mapping[Language, PackageText]
    prices: Mapping[Market, Money]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """All personal data of a customer, a friend or an operator; kept in this table alone."""

    id: PersonId
    name: str
    email: str
    phone: str | None
    language: Language
    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    lat: float | None
    lon: float | None
    precision: str | None
    radius_m: int | None
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCertificate:
    code: str
    valid_from: datetime
    valid_until: datetime | None

    def valid(self, now: datetime) -> bool:
        """Whether it is valid at `now`: from inclusive, until exclusive."""
        return self.valid_from <= now and (self.valid_until is None or now < self.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A daily span of local minutes since midnight, over midnight when `until` is not later."""

    from_minute: int
    until_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Friend:
    """A neighbourhood helper with everything that decides whether he may be asked."""

    id: FriendId
    ref: str
    state: FriendState
    tier: Tier
    market: Market
    languages: frozenset[Language]
    lat: float
    lon: float
    radius_m: int
    capacity: int
    open_jobs: int = 0
    live_offers: int = 0
    certificates: tuple[HeldCertificate, ...] = ()
    quiet: QuietHours | None = None
    communities: frozenset[PartnerId] = frozenset()
    blocked: frozenset[CustomerKey] = frozenset()
    channels: frozenset[Channel] = frozenset({Channel.MAIL})
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One customer's order of one package at one place; its exact point comes from her `Person`."""

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
    round: int = 0
    round_limit: int = 0
    event_seq: int = 0
    award_id: AwardId | None = None
    cancel_fee_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One friend asked about one booking. `distance_m` is exact; `shown_m` is what he may see."""

    id: OfferId
    booking_id: BookingId
    friend_id: FriendId
    round: int
    slot: int
    state: OfferState
    distance_m: int
    shown_m: int
    radius_m: int
    offered_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    starts_at: datetime
    ends_at: datetime
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What the friend writes down at the end: what was done, and how long it took."""

    summary: str
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """The job given to a friend; `offer_id` is missing only when the desk awarded it by hand."""

    id: AwardId
    booking_id: BookingId
    friend_id: FriendId
    offer_id: OfferId | None
    round: int
    state: AwardState
    awarded_at: datetime
    contact_due_at: datetime
    contacted_at: datetime | None = None
    appointment: Appointment | None = None
    on_the_way_at: datetime | None = None
    move_asked_at: datetime | None = None
    move_wishes: tuple[Wish, ...] = ()
    disputed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    protocol: Protocol | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    booking_id: BookingId
    friend_id: FriendId
    stars: int
    comment: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a booking costs the customer and earns the friend, at its end; once per booking."""

    booking_id: BookingId
    friend_id: FriendId
    price: Money
    pay: Money
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact that happened to a booking, numbered from 1 without gaps; `data` holds ids only."""

    booking_id: BookingId
    seq: int
    kind: str
    at: datetime
    actor: str
    data: Mapping[str, Any]


class Audience(StrEnum):
    FRIEND = "friend"
    CUSTOMER = "customer"
    PARTNER = "partner"
    DESK = "desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An intent to tell somebody something, delivered after the commit, in order per booking."""

    id: MessageId
    booking_id: BookingId
    seq: int
    channel: Channel
    audience: Audience
    recipient_id: UUID
    template: str
    data: Mapping[str, Any]
    expires_at: datetime | None = None


class Considered(NamedTuple):
    """One friend's line in a decision; `rank` counts those who qualified, from 1."""

    friend_id: FriendId
    outcome: Outcome
    distance_m: int
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The stored record of one fan-out: who was considered and what became of each."""

    booking_id: BookingId
    seq: int
    round: int
    tier: Tier
    at: datetime
    policy: str
    friends: tuple[Considered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A booking with all its facts, loaded under its lock.

    `former` are the friends who held it and lost it, with how that ended.
    """

    booking: Booking
    package: Package
    offers: tuple[Offer, ...] = ()
    award: Award | None = None
    former: Mapping[FriendId, AwardState] = field(default_factory=dict)
    timers: Mapping[TimerKind, datetime] = field(default_factory=dict)
    rated: bool = False

    @property
    def live(self) -> tuple[Offer, ...]:
        """The offers still open, whatever the clock says."""
        return tuple(offer for offer in self.offers if offer.state is OfferState.LIVE)

    def after(self, changes: Changes) -> Job:
        """The job as it is once `changes` are written."""
        offers = {offer.id: offer for offer in self.offers}
        offers.update((offer.id, offer) for offer in changes.offers)
        timers = {**self.timers, **changes.timers}
        award, former = changes.award or self.award, self.former
        if award is not None and award.state not in LIVING_AWARDS:
            former = {**former, award.friend_id: award.state}
            award = None
        return changed(
            self,
            booking=changes.booking,
            offers=tuple(offers.values()),
            award=award,
            former=former,
            timers={kind: due for kind, due in timers.items() if due is not None},
            rated=self.rated or changes.rating is not None,
        )


LIVING_AWARDS = frozenset({AwardState.LIVE, AwardState.DONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """One decision: the booking as it shall be, and every row that goes with it.

    `timers` maps a kind to its new due moment, or to None to stop it. `open_jobs` is added to the
    friends' counters. `customer` is given only for a booking that is new; `signature` and
    `move_note` are kept with her, and an empty `move_note` forgets the last.
    """

    booking: Booking
    customer: Person | None = None
    offers: tuple[Offer, ...] = ()
    award: Award | None = None
    award_is_new: bool = False
    timers: Mapping[TimerKind, datetime | None] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    messages: tuple[Message, ...] = ()
    decisions: tuple[Decision, ...] = ()
    open_jobs: Mapping[FriendId, int] = field(default_factory=dict)
    rating: Rating | None = None
    charge: Charge | None = None
    signature: str | None = None
    move_note: str | None = None


def derived_id(booking_id: UUID, *parts: object) -> UUID:
    """An id that follows from the booking's own and `parts`, so that a decision draws no chance.

    The first 48 bits are the booking's (its moment, when it is a UUIDv7), which keeps rows of one
    time together in an index; the rest is a hash. Version 8 of RFC 9562.
    """
    digest = sha256(booking_id.bytes + repr(parts).encode()).digest()
    raw = bytearray(booking_id.bytes[:6] + digest[:10])
    raw[6] = 0x80 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return UUID(bytes=bytes(raw))


def customer_key(email: str) -> CustomerKey:
    """The pseudonym under which a customer is known to blocks: a hash of her folded address."""
    return CustomerKey(sha256(email.strip().casefold().encode()).hexdigest())
