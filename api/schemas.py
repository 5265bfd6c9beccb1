"""What is asked and what is said: the JSON of every request and answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.fields import (
    City,
    Code,
    Comment,
    Email,
    Lat,
    Lon,
    Minutes,
    Moment,
    Name,
    Notes,
    OptionalLine,
    Phone,
    Postcode,
    Reason,
    Stars,
    Summary,
    Token,
    Wishes,
    Word,
    e164,
    unfit,
)
from data.records import (
    BookingState,
    Currency,
    Language,
    Market,
    OfferState,
    Outcome,
    PackageTier,
    Tier,
    Wish,
)
from data.store.sessions import Login

T = TypeVar("T")


class Asked(BaseModel):
    """Part of a request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Said(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


def example(value: Mapping[str, Any]) -> ConfigDict:
    """A request model with an example that works as it stands."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(value)]})


BAHNHOFSTRASSE = {
    "street": "Bahnhofstrasse 1",
    "postcode": "8001",
    "city": "Zürich",
    "country": "CH",
}
ANNA = {
    "name": "Anna Muster",
    "email": "anna.muster@example.com",
    "phone": "+41 44 668 18 00",
    "language": "de",
}


class _Place(Asked):
    lat: Lat | None = None
    lon: Lon | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            missing = "lat" if self.lat is None else "lon"
            raise unfit("is missing beside the other coordinate", "give both or neither", missing)
        return self


class QuoteAddress(_Place):
    """Where help is wanted; a point given with it is taken as it is."""

    street: OptionalLine = ""
    postcode: Postcode
    city: City
    country: Market


class Address(_Place):
    """Where the friend is to come; a point given with it is taken as it is."""

    street: Name
    postcode: Postcode
    city: City
    country: Market


class CustomerAsked(Asked):
    """Who books."""

    name: Name
    email: Email
    phone: Phone
    language: Language


class QuoteAsked(Asked):
    """For which package and place a price is wanted."""

    model_config = example({"package": "wifi-setup", "address": BAHNHOFSTRASSE})

    package: Code
    address: QuoteAddress


class BookingAsked(Asked):
    """A booking: one package, one person, one place."""

    model_config = example(
        {
            "package": "wifi-setup",
            "customer": ANNA,
            "address": BAHNHOFSTRASSE,
            "notes": "Ring twice, second floor.",
            "wishes": ["soon", "evening"],
        }
    )

    package: Code
    customer: CustomerAsked
    address: Address
    notes: Notes | None = None
    wishes: Wishes = Field(default_factory=list)
    partner_reference: Name | None = None
    quote_id: UUID | None = None

    @model_validator(mode="after")
    def _telephone(self) -> Self:
        self.customer.phone = e164(self.customer.phone, self.address.country)
        return self


class CancelAsked(Asked):
    """Why a booking ends."""

    model_config = example({"reason": "changed_mind"})

    reason: Reason = Field(
        "other",
        description="`changed_mind`, `solved`, `too_long`, `mistake` or `other`; any other words "
        "count as `other` and are not kept, so that no event tells who somebody is.",
    )


CANCEL_REASONS = frozenset({"changed_mind", "solved", "too_long", "mistake"})
INCOMPLETE_REASONS = frozenset({"not_solvable", "parts_missing", "nobody_there", "needs_pro"})


class AppointmentAsked(Asked):
    """When the friend comes; without an end it lasts as long as the package says."""

    model_config = example({"starts_at": "2026-03-03T14:00:00Z", "ends_at": "2026-03-03T15:00:00Z"})

    starts_at: Moment
    ends_at: Moment | None = None


class ProtocolAsked(Asked):
    """What was done."""

    model_config = example({"summary": "Router connected, four devices online.", "minutes": 50})

    summary: Summary
    minutes: Minutes


class IncompleteAsked(Asked):
    """Why the problem is not solved."""

    model_config = example({"reason": "parts_missing", "summary": "The cable is broken."})

    reason: Reason = Field(
        description="`not_solvable`, `parts_missing`, `nobody_there`, `needs_pro` or `other`; any "
        "other words are kept with the summary and count as `other`.",
    )
    summary: Summary | None = None


class HandBackReason(StrEnum):
    """Why a friend gives a job back."""

    CANNOT_HELP = "cannot_help"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    NO_TIME = "no_time"
    OTHER = "other"


class HandBackAsked(Asked):
    """Why the job goes back; the note is for the desk."""

    model_config = example({"reason": "no_time", "note": "I am ill."})

    reason: HandBackReason
    note: Summary | None = None


class RatingAsked(Asked):
    """One to five stars."""

    model_config = example({"stars": 5, "comment": "Quick and kind."})

    stars: Stars
    comment: Comment | None = None


class AwardAsked(Asked):
    """Who gets the job: the friend's id or his `ref`."""

    model_config = example({"friend": "zh-001"})

    friend: Word


class LoginLinkAsked(Asked):
    """Whose login link is to be mailed."""

    model_config = example({"email": "friend@example.com", "kind": "friend"})

    email: Email
    kind: Login


class SessionAsked(Asked):
    """The token of a login link."""

    model_config = example({"token": "A-token-from-the-mailed-link-that-works-only-once"})

    token: Token


class Money(Said):
    """An amount in minor units: 6900 CHF is 69 francs."""

    amount: int
    currency: Currency


class Page(Said, Generic[T]):
    """Part of a list; `next_cursor` asks for what follows, and is null at the end."""

    items: list[T]
    next_cursor: str | None


class Package(Said):
    """A service package in the asked language, priced for the asked market."""

    code: str
    category: str
    name: str
    description: str
    tier: PackageTier
    minutes: int
    certificates: list[str]
    price: Money


class PackageName(Said):
    """Which package, in the reader's language."""

    code: str
    name: str


class Quote(Said):
    """A price that holds until it expires; `helpers` is `0`, `1-4` or `5+`."""

    id: UUID
    package: str
    market: Market
    serviceable: bool
    price: Money
    helpers: str
    precision: str
    label: str
    note: str
    expires_at: datetime


class LiveOffers(Said):
    """How many friends are being asked now."""

    live: int


class Appointment(Said):
    """When the friend comes; `revision` grows each time it is moved."""

    starts_at: datetime
    ends_at: datetime
    revision: int


class Helper(Said):
    """The friend who has the job, as his customer knows him."""

    first_name: str


class CustomerAddress(Said):
    """Where the friend is to come."""

    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    lat: float | None
    lon: float | None


class Customer(Said):
    """Who the friend is to call: told to the winner only, until fourteen days after the end."""

    name: str
    phone: str | None
    email: str
    address: CustomerAddress
    notes: str | None


class BookingSaid(Said):
    """A booking as whoever may see it sees it; `customer` is for its friend and the desk."""

    id: UUID
    state: BookingState
    round: int
    package: str
    market: Market
    language: Language
    price: Money
    offers: LiveOffers
    wishes: list[Wish]
    partner_reference: str | None
    created_at: datetime
    contact_due_at: datetime | None = None
    contacted_at: datetime | None = None
    appointment: Appointment | None = None
    friend: Helper | None = None
    stars: int | None = None
    customer: Customer | None = None


class BookingMade(Said):
    """A new booking with the link by which its customer follows it."""

    id: UUID
    state: BookingState
    round: int
    package: str
    market: Market
    language: Language
    price: Money
    offers: LiveOffers
    wishes: list[Wish]
    partner_reference: str | None
    created_at: datetime
    customer_link: str


class Event(Said):
    """A fact, numbered without gaps."""

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class FrameOutcome(StrEnum):
    """What became of a friend in a decision: an outcome, or that he was not looked at."""

    OUT_OF_FRAME = "OUT_OF_FRAME"


class Considered(Said):
    """One friend in the frame with his one outcome; `rank` counts those who qualified."""

    friend_id: UUID
    ref: str
    outcome: Outcome | FrameOutcome
    distance_m: int
    rank: int | None


class Decision(Said):
    """One fan-out: who was considered, who was asked and why the others were not."""

    seq: int
    round: int
    tier: Tier
    at: datetime
    policy: str
    friends: list[Considered]


class Cell(Said):
    """A square of `size_m` metres around this point; nothing nearer is told before an award."""

    lat: float
    lon: float
    size_m: int
    label: str


class Offer(Said):
    """A job on offer; `distance_m` is counted to the middle of the cell."""

    id: UUID
    booking_id: UUID
    package: PackageName
    round: int
    pay: Money
    cell: Cell
    distance_m: int
    wishes: list[Wish]
    offered_at: datetime
    expires_at: datetime
    server_time: datetime


class Awarded(Said):
    """The job you won: the same answer however often it is asked for."""

    booking_id: UUID
    offer_id: UUID
    award_id: UUID
    state: Annotated[BookingState, Field(description="Always `awarded`.")]
    round: int
    package: str
    pay: Money
    awarded_at: datetime
    contact_due_at: datetime
    customer: Customer | None


class Declined(Said):
    """The offer you declined."""

    booking_id: UUID
    offer_id: UUID
    state: OfferState


class Job(Said):
    """A job you hold or have done."""

    booking_id: UUID
    offer_id: UUID | None
    award_id: UUID
    state: BookingState
    round: int
    package: PackageName
    pay: Money
    wishes: list[Wish]
    awarded_at: datetime
    contact_due_at: datetime
    contacted_at: datetime | None
    appointment: Appointment | None
    started_at: datetime | None
    ended_at: datetime | None
    customer: Customer | None


class Progress(Said):
    """How far a job has come."""

    booking_id: UUID
    state: BookingState
    contact_due_at: datetime | None
    contacted_at: datetime | None
    appointment: Appointment | None
    started_at: datetime | None
    ended_at: datetime | None


class Rating(Said):
    """What the customer thinks."""

    booking_id: UUID
    stars: int
    comment: str | None
    rated_at: datetime


class Why(Said):
    """What became of you in one decision."""

    booking_id: UUID
    round: int
    at: datetime
    package: str
    outcome: Outcome


class LoginLinkSent(Said):
    """Said whether or not somebody has this address."""

    message: str = "If this address is known, a link is on its way; it works for 15 minutes."


class Session(Said):
    """A session; the token stands in the cookie `tekkie_session` too."""

    token: str
    kind: Login
    expires_at: datetime
