"""The JSON of responses, except those for the desk."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from data.enums import Audience, BookingState, OfferState, Outcome, PackageTier, Tier, Wish
from data.markets import Currency, Language, Market
from data.store.push_subscriptions import PhoneProblem
from data.store.sessions import Login
from dispatch.rules.jobs.events import EVENTS, seen_by
from dispatch.rules.jobs.outcomes import FRIEND_OUTCOMES, Nearness
from dispatch.rules.people.reachability import Obstacle

T = TypeVar("T")

FriendOutcome = Annotated[
    Outcome | Nearness, WithJsonSchema({"type": "string", "enum": FRIEND_OUTCOMES})
]


class RequestModel(BaseModel):
    """Base of all parts of requests; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ResponseModel(BaseModel):
    """Base of all parts of responses."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


def example(value: Mapping[str, Any]) -> ConfigDict:
    """The configuration of a request model with a working example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(value)]})


class Money(ResponseModel):
    """An amount in minor units: 6900 CHF is 69 francs."""

    amount: int
    currency: Currency


class Page(ResponseModel, Generic[T]):
    """One page of a list; `next_cursor` requests the next page and is null on the last."""

    items: list[T]
    next_cursor: str | None


class Package(ResponseModel):
    """A service package in the requested language with its price in the requested market."""

    code: str
    category: str
    name: str
    description: str
    tier: PackageTier
    minutes: int
    certificates: list[str]
    price: Money
    fan_out: int
    contact_within_h: int


class MarketInfo(ResponseModel):
    """A served country; the examples are in its national notation."""

    code: Market
    currency: Currency
    timezone: str
    languages: list[Language]
    calling_code: int
    phone_example: str
    postcode_example: str


class CatalogueResponse(Page[Package]):
    """The packages of a market, and all markets with the home market first."""

    markets: list[MarketInfo]


class PackageName(ResponseModel):
    """A package with its name in the reader's language."""

    code: str
    name: str


class QuoteResponse(ResponseModel):
    """A price valid until it expires; `helpers` is `0`, `1-4` or `5+`."""

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


class LiveOffers(ResponseModel):
    """The number of live offers."""

    live: int


class Appointment(ResponseModel):
    """The agreed time of the visit; `revision` grows with every change."""

    starts_at: datetime
    ends_at: datetime
    revision: int


class Helper(ResponseModel):
    """The awarded friend as shown to the customer; `stars` is the mean of all ratings."""

    first_name: str
    languages: list[Language]
    stars: float | None
    ratings: int


class Cancellation(ResponseModel):
    """The fee for cancelling now; `free_until` is null without an agreed appointment."""

    fee: Money
    free_until: datetime | None


class CustomerAddress(ResponseModel):
    """The address of the visit."""

    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    lat: float | None
    lon: float | None


class Customer(ResponseModel):
    """Contact data of the customer: only for the awarded friend, and only for a limited time."""

    name: str
    phone: str | None
    email: str
    address: CustomerAddress
    notes: str | None


class Milestones(ResponseModel):
    """How far a job has come, for everybody who may see it; all null before the award."""

    contact_due_at: datetime | None = None
    contacted_at: datetime | None = None
    disputed_at: datetime | None = None
    appointment: Appointment | None = None
    move_asked_at: datetime | None = None
    move_wishes: list[Wish] = Field(default_factory=list)
    on_the_way_at: datetime | None = None
    delayed_minutes: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class BookingResponse(Milestones):
    """A booking as visible to the caller; `customer` is only for its friend and the desk.

    `cancellation` is null when the booking cannot be cancelled; `cancel_fee` is what a cancellation
    cost. `signature`, an SVG path in a box of 600 x 200, is only for the desk.
    """

    id: UUID
    state: BookingState
    round: int
    package: str
    market: Market
    language: Language
    price: Money
    offers: LiveOffers
    asked_in_all: int
    wishes: list[Wish]
    partner_reference: str | None
    created_at: datetime
    fan_out: int
    contact_within_h: int
    move_note: str | None = None
    friend: Helper | None = None
    cancellation: Cancellation | None = None
    cancel_fee: Money | None = None
    stars: int | None = None
    customer: Customer | None = None
    signature: str | None = None
    server_time: datetime


class BookingCreatedResponse(ResponseModel):
    """A new booking with its customer's link."""

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


def _public_fields() -> str:
    """Which data an event of each kind carries for customers and partners."""
    lines = []
    for name, kind in EVENTS.items():
        seen = sorted(seen_by(Audience.CUSTOMER, dict.fromkeys(kind.fields)))
        if seen:
            lines.append(f"`{name}`: {', '.join(f'`{field}`' for field in seen)}")
    return f"By kind, and empty for every other: {'; '.join(lines)}."


class Event(ResponseModel):
    """An event of a booking; `seq` has no gaps."""

    seq: int
    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(EVENTS)})]
    at: datetime
    data: Annotated[dict[str, Any], Field(description=_public_fields())]


class Cell(ResponseModel):
    """A square of `size_m` metres around this point; all that is disclosed before an award."""

    lat: float
    lon: float
    size_m: int
    label: str


class Offer(ResponseModel):
    """An offer; `distance_m` and `minutes` of travel are measured to the centre of the cell."""

    id: UUID
    booking_id: UUID
    package: PackageName
    round: int
    pay: Money
    cell: Cell
    distance_m: int
    minutes: int
    contact_within_h: int
    wishes: list[Wish]
    offered_at: datetime
    expires_at: datetime
    server_time: datetime


class AcceptResponse(ResponseModel):
    """The awarded job; every repeat of the request gets the same response."""

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


class DeclineResponse(ResponseModel):
    """The declined offer."""

    booking_id: UUID
    offer_id: UUID
    state: OfferState


class Job(Milestones):
    """A current or past job; `distance_m` from the base to the address while it is disclosed."""

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
    contact_within_h: int
    move_note: str | None
    distance_m: int | None
    customer: Customer | None
    server_time: datetime


class ProgressResponse(Milestones):
    """The progress of a job."""

    booking_id: UUID
    state: BookingState


class RatingResponse(ResponseModel):
    """The customer's rating."""

    booking_id: UUID
    stars: int
    comment: str | None
    rated_at: datetime


class DecisionOutcome(ResponseModel):
    """The outcome of one decision for the friend who asks."""

    booking_id: UUID
    round: int
    at: datetime
    package: str
    outcome: FriendOutcome


class LoginLinkResponse(ResponseModel):
    """The same response whether or not the address is known."""

    message: str = "If this address is known, a link is on its way; it works for 15 minutes."


class PushKeyResponse(ResponseModel):
    """The public VAPID key of the server, an uncompressed point in base64url."""

    key: str


class PhoneResponse(ResponseModel):
    """A subscribed phone."""

    added_at: datetime


class PhoneTestResult(ResponseModel):
    """The result of the test for one phone; a phone with problem `gone` is removed."""

    added_at: datetime
    problem: PhoneProblem | None


class AlarmTestResponse(ResponseModel):
    """How many phones got the push, and what prevents offers from reaching the friend."""

    rang: int
    phones: list[PhoneTestResult]
    obstacles: list[Obstacle]


class SessionCreatedResponse(ResponseModel):
    """A new session; the token is in a cookie too."""

    token: str
    kind: Login
    expires_at: datetime


class SessionResponse(ResponseModel):
    """The current session; compare `expires_at` with the server's time."""

    kind: Login
    id: UUID
    expires_at: datetime
    server_time: datetime


class Place(ResponseModel):
    """A town with a postcode; `radius_m` is the precision of the point in metres."""

    postcode: str
    town: str
    region: str
    lat: float
    lon: float
    precision: str
    radius_m: int


class PlacesResponse(ResponseModel):
    """The matching places, the most likely first."""

    items: list[Place]


class Base(ResponseModel):
    """The location of a friend's base in degrees; null when unknown."""

    lat: float
    lon: float


class QuietHours(ResponseModel):
    """Local times between which the friend gets no offers."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    from_: str = Field(alias="from")
    until: str


class Certificate(ResponseModel):
    """A certificate of a friend; `valid_until` is null without an end."""

    code: str
    name: str
    valid_until: datetime | None


class RatingSummary(ResponseModel):
    """The mean and the number of all ratings; null before the first."""

    stars: float | None
    count: int


class ProfileResponse(ResponseModel):
    """All data about a friend that they may see."""

    ref: str
    name: str
    email: str
    phone: str | None
    tier: Tier
    market: Market
    languages: list[Language]
    radius_m: int
    base: Base | None
    capacity: int
    open_jobs: int
    quiet: QuietHours | None
    paused: bool
    certificates: list[Certificate]
    rating: RatingSummary


class CoverageArea(ResponseModel):
    """The approximate number of helpers available in an area; never exact."""

    helpers: Literal["1-4", "5+"]
    package: str
    market: Market


class CoverageShape(ResponseModel):
    """A geometry of RFC 7946: WGS84, longitude before latitude."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any]


class CoverageFeature(ResponseModel):
    """A feature of RFC 7946."""

    type: Literal["Feature"]
    properties: CoverageArea
    geometry: CoverageShape


class CoverageResponse(ResponseModel):
    """A feature collection of RFC 7946; places outside all areas cannot be served."""

    type: Literal["FeatureCollection"]
    features: list[CoverageFeature]
