"""What is said: the JSON of every answer, the desk aside, and what all of them are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from data.enums import BookingState, OfferState, Outcome, PackageTier, Tier, Wish
from data.markets import Currency, Language, Market
from data.store.push_subscriptions import PhoneProblem
from data.store.sessions import Login
from dispatch.rules.jobs.outcomes import FRIEND_OUTCOMES, Nearness
from dispatch.rules.people.reachability import Obstacle

T = TypeVar("T")

FriendOutcome = Annotated[
    Outcome | Nearness, WithJsonSchema({"type": "string", "enum": FRIEND_OUTCOMES})
]


class RequestModel(BaseModel):
    """Part of a request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ResponseModel(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


def example(value: Mapping[str, Any]) -> ConfigDict:
    """A request model with an example that works as it stands."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [dict(value)]})


class Money(ResponseModel):
    """An amount in minor units: 6900 CHF is 69 francs."""

    amount: int
    currency: Currency


class Page(ResponseModel, Generic[T]):
    """Part of a list; `next_cursor` asks for what follows, and is null at the end."""

    items: list[T]
    next_cursor: str | None


class Package(ResponseModel):
    """A service package in the asked language, priced for the asked market."""

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


class MarketResponse(ResponseModel):
    """A country that is served; the examples are written as they are at home."""

    code: Market
    currency: Currency
    timezone: str
    languages: list[Language]
    calling_code: int
    phone_example: str
    postcode_example: str


class CatalogueResponse(Page[Package]):
    """The packages of a market; and all markets, the home market first."""

    markets: list[MarketResponse]


class PackageName(ResponseModel):
    """Which package, in the reader's language."""

    code: str
    name: str


class QuoteResponse(ResponseModel):
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


class LiveOffers(ResponseModel):
    """How many friends are being asked now."""

    live: int


class Appointment(ResponseModel):
    """When the friend comes; `revision` grows each time it is moved."""

    starts_at: datetime
    ends_at: datetime
    revision: int


class Helper(ResponseModel):
    """The friend who has the job, as his customer knows him; `stars` of all his ratings so far."""

    first_name: str
    languages: list[Language]
    stars: float | None
    ratings: int


class Cancellation(ResponseModel):
    """What cancelling costs now; `free_until` is 24 hours before an agreed appointment."""

    fee: Money
    free_until: datetime | None


class CustomerAddress(ResponseModel):
    """Where the friend is to come."""

    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    lat: float | None
    lon: float | None


class Customer(ResponseModel):
    """Who the friend is to call: told to the winner only, until fourteen days after the end."""

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
    """A booking as whoever may see it sees it; `customer` is for its friend and the desk.

    `cancellation` is null when it cannot be cancelled; once cancelled, `cancel_fee` is what it
    cost. `signature`, the path of an SVG in a box of 600 x 200, is for the desk alone.
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


class Event(ResponseModel):
    """A fact, numbered without gaps."""

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class Cell(ResponseModel):
    """A square of `size_m` metres around this point; nothing nearer is told before an award."""

    lat: float
    lon: float
    size_m: int
    label: str


class Offer(ResponseModel):
    """A job on offer; `distance_m` and the `minutes` of the way count to the middle of the cell."""

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


class DeclineResponse(ResponseModel):
    """The offer you declined."""

    booking_id: UUID
    offer_id: UUID
    state: OfferState


class Job(Milestones):
    """A job you hold or have done; `distance_m` from your base to her door, while you know it."""

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
    """How far a job has come."""

    booking_id: UUID
    state: BookingState


class RatingResponse(ResponseModel):
    """What the customer thinks."""

    booking_id: UUID
    stars: int
    comment: str | None
    rated_at: datetime


class DecisionOutcome(ResponseModel):
    """What became of you in one decision."""

    booking_id: UUID
    round: int
    at: datetime
    package: str
    outcome: FriendOutcome


class LoginLinkResponse(ResponseModel):
    """Said whether or not somebody has this address."""

    message: str = "If this address is known, a link is on its way; it works for 15 minutes."


class PushKeyResponse(ResponseModel):
    """The key by which phones know who rings them, an uncompressed point in base64url."""

    key: str


class PhoneResponse(ResponseModel):
    """A phone that rings for you."""

    added_at: datetime


class PhoneTestResult(ResponseModel):
    """How one of your phones did; what is gone is forgotten."""

    added_at: datetime
    problem: PhoneProblem | None


class AlarmTestResponse(ResponseModel):
    """How many of your phones were rung, and what would keep a new job from reaching you."""

    rang: int
    phones: list[PhoneTestResult]
    obstacles: list[Obstacle]


class SessionCreatedResponse(ResponseModel):
    """A session; the token stands in a cookie too."""

    token: str
    kind: Login
    expires_at: datetime


class SessionResponse(ResponseModel):
    """Who is signed in; the server's time tells how long the session still lasts."""

    kind: Login
    id: UUID
    expires_at: datetime
    server_time: datetime


class Place(ResponseModel):
    """A town under its postcode; the point is good to about `radius_m` metres."""

    postcode: str
    town: str
    region: str
    lat: float
    lon: float
    precision: str
    radius_m: int


class PlacesResponse(ResponseModel):
    """The places that may be meant, the likeliest first."""

    items: list[Place]


class Base(ResponseModel):
    """The point a friend starts from, in degrees; null when nobody knows it."""

    lat: float
    lon: float


class QuietHours(ResponseModel):
    """Local times between which nobody asks him."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    from_: str = Field(alias="from")
    until: str


class Certificate(ResponseModel):
    """A kind of work he is certified for; without an end `valid_until` is null."""

    code: str
    name: str
    valid_until: datetime | None


class RatingSummary(ResponseModel):
    """The mean of his ratings, and of how many; null before the first."""

    stars: float | None
    count: int


class ProfileResponse(ResponseModel):
    """All that is kept about a friend and that he may see."""

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
    """How many helpers could come to an area; it is never told exactly."""

    helpers: Literal["1-4", "5+"]
    package: str
    market: Market


class CoverageShape(ResponseModel):
    """A shape of RFC 7946, longitude before latitude, on WGS84."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any]


class CoverageFeature(ResponseModel):
    """An area of RFC 7946."""

    type: Literal["Feature"]
    properties: CoverageArea
    geometry: CoverageShape


class CoverageResponse(ResponseModel):
    """Areas of RFC 7946; places in none of them cannot be served."""

    type: Literal["FeatureCollection"]
    features: list[CoverageFeature]
