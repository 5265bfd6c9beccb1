"""What the desk is told: the JSON of its answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from api.schemas.responses import (
    Base,
    BookingResponse,
    Event,
    Money,
    QuietHours,
    ResponseModel,
)
from data.enums import (
    Audience,
    AwardState,
    BookingState,
    Channel,
    FriendState,
    OfferState,
    Outcome,
    Tier,
)
from data.markets import Language, Market
from dispatch.rules.jobs.nearby import DeskOutcome


class FrameOutcome(StrEnum):
    """What became of a friend in a decision: an outcome, or that he was not looked at."""

    OUT_OF_FRAME = "OUT_OF_FRAME"


class ConsideredFriend(ResponseModel):
    """One friend in the frame with his one outcome; `rank` counts those who qualified."""

    friend_id: UUID
    ref: str
    outcome: Outcome | FrameOutcome
    distance_m: int
    rank: int | None


class Decision(ResponseModel):
    """One fan-out: who was considered, who was asked and why the others were not."""

    seq: int
    round: int
    tier: Tier
    at: datetime
    policy: str
    friends: list[ConsideredFriend]


class NumbersResponse(ResponseModel):
    """What has happened since midnight: bookings, each counted once of a kind; and what is now."""

    since: datetime
    booked: int
    awarded: int
    contacted_in_time: int
    missed: int
    completed: int
    unfilled: int
    cancelled: int
    median_seconds_to_award: float | None
    live_offers: int
    friends_available: int
    server_time: datetime


class QueuesResponse(ResponseModel):
    """How much waits in each queue, counted to ten thousand."""

    unfilled: int
    contact_due_soon: int
    missed: int
    disputed: int
    parked_messages: int
    unsure_addresses: int
    incomplete: int


class FriendName(ResponseModel):
    """A friend as the desk calls him."""

    id: UUID
    ref: str
    first_name: str


class Town(ResponseModel):
    """Where a booking is, roughly."""

    postcode: str | None
    city: str | None


class BookingRow(ResponseModel):
    """A booking in a list of the desk."""

    id: UUID
    state: BookingState
    package: str
    market: Market
    created_at: datetime
    contact_due_at: datetime | None
    friend: FriendName | None
    place: Town
    address_precision: str | None
    price: Money
    customer_name: str


class DeskEvent(Event):
    """A fact with who brought it about."""

    actor: str


class OfferRow(ResponseModel):
    """One friend asked about a booking, and what became of it."""

    id: UUID
    round: int
    state: OfferState
    friend_id: UUID
    ref: str
    name: str
    distance_m: int
    offered_at: datetime
    expires_at: datetime
    answered_at: datetime | None


class AwardRow(ResponseModel):
    """One friend who held the job, how that ended, and what he wrote down."""

    id: UUID
    round: int
    state: AwardState
    friend_id: UUID
    ref: str
    name: str
    awarded_at: datetime
    contact_due_at: datetime
    contacted_at: datetime | None
    ended_at: datetime | None
    summary: str | None
    worked_minutes: int | None


class Note(ResponseModel):
    """What an operator noted down; nothing is changed later."""

    at: datetime
    by: UUID
    name: str
    text: str


class NotesResponse(ResponseModel):
    """All notes, the first one first."""

    items: list[Note]


class BookingDetailsResponse(BookingResponse):
    """Everything about one booking."""

    partner: str | None
    address_precision: str | None
    radius_m: int | None
    signature: str | None
    events: list[DeskEvent]
    offers_made: list[OfferRow]
    awards: list[AwardRow]
    notes: list[Note]


class NearbyFriend(ResponseModel):
    """A friend near a booking with what he is to it now: an outcome, FITS or HOLDS_IT."""

    friend_id: UUID
    ref: str
    name: str
    lat: float
    lon: float
    distance_m: int
    outcome: Outcome | DeskOutcome


class NearbyFriendsResponse(ResponseModel):
    """Friends near a booking, the nearest first."""

    items: list[NearbyFriend]
    server_time: datetime


class FriendRow(ResponseModel):
    """A friend in a list of the desk, with the certificates that are valid now."""

    id: UUID
    ref: str
    name: str
    state: FriendState
    tier: Tier
    market: Market
    postcode: str | None
    city: str | None
    languages: list[Language]
    radius_m: int
    capacity: int
    open_jobs: int
    certificates: list[str]


class HeldCertificate(ResponseModel):
    """A certificate he holds or held; without an end `valid_until` is null."""

    code: str
    valid_from: datetime
    valid_until: datetime | None


class JobRow(ResponseModel):
    """A job he holds or held."""

    booking_id: UUID
    state: AwardState
    booking_state: BookingState
    package: str
    awarded_at: datetime
    ended_at: datetime | None


class FriendDetailsResponse(ResponseModel):
    """Everything about one friend, with his last twenty jobs."""

    id: UUID
    ref: str
    name: str
    email: str
    phone: str | None
    state: FriendState
    tier: Tier
    market: Market
    postcode: str | None
    city: str | None
    base: Base | None
    precision: str | None
    languages: list[Language]
    radius_m: int
    capacity: int
    open_jobs: int
    live_offers: int
    quiet: QuietHours | None
    certificates: list[HeldCertificate]
    communities: list[str]
    stars: float | None
    ratings: int
    jobs: list[JobRow]
    notes: list[Note]
    created_at: datetime


class RowProblem(ResponseModel):
    """A row that cannot be taken: its line (0 is the whole file), what is wrong, and the cure."""

    line: int
    field: str
    problem: str
    cure: str


class ImportResponse(ResponseModel):
    """What an import did, or in a dry run would do; nothing while a row is bad."""

    taken_in: int = Field(description="Friends who are new.")
    changed: int
    unchanged: int
    dry_run: bool
    rows: list[RowProblem]


class MapState(StrEnum):
    """How a friend stands: as `active` as can be asked now, or `busy` and asked no more for now."""

    ACTIVE = "active"
    BUSY = "busy"
    PAUSED = "paused"
    SUSPENDED = "suspended"


class FriendColumns(ResponseModel):
    """All friends; what stands at one place in each column belongs together."""

    id: list[UUID]
    lat: list[float]
    lon: list[float]
    state: list[MapState]
    tier: list[Tier]


class BookingColumns(ResponseModel):
    """The bookings under way or of the last seven days, at most 20,000 together, in columns."""

    id: list[UUID]
    lat: list[float]
    lon: list[float]
    state: list[BookingState]


class MapResponse(ResponseModel):
    """Where everybody is."""

    friends: FriendColumns
    bookings: BookingColumns
    server_time: datetime


class MessageState(StrEnum):
    """What a message waits for: a person, or its turn."""

    PARKED = "parked"
    PENDING = "pending"


class MessageRow(ResponseModel):
    """A message that has not left; `since` is when it was last tried, or is to be."""

    id: UUID
    booking_id: UUID
    channel: Channel
    audience: Audience
    template: str
    state: MessageState
    attempts: int
    since: datetime
    problem: str | None


class PartnerKey(ResponseModel):
    """A key by its beginning; all of it is told only when it is made."""

    prefix: str
    created_at: datetime
    revoked_at: datetime | None


class Partner(ResponseModel):
    """A retailer who books for his customers."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
    keys: list[PartnerKey]


class PartnersResponse(ResponseModel):
    """All partners by name."""

    items: list[Partner]


class KeyCreatedResponse(ResponseModel):
    """A key, told only now; `prefix` is what is shown of it later."""

    key: str
    prefix: str


class PartnerCreatedResponse(KeyCreatedResponse):
    """A new partner with his first key, which is told only now."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
