"""What the desk is told: the JSON of its answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from api.schemas.responses import Base, BookingSaid, Event, Money, Quiet, Said
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
from dispatch.rules.jobs.nearby import Standing


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


class Numbers(Said):
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


class Queues(Said):
    """How much waits in each queue, counted to ten thousand."""

    unfilled: int
    contact_due_soon: int
    missed: int
    disputed: int
    parked_messages: int
    unsure_addresses: int
    incomplete: int


class Known(Said):
    """A friend as the desk calls him."""

    id: UUID
    ref: str
    first_name: str


class Town(Said):
    """Where a booking is, roughly."""

    postcode: str | None
    city: str | None


class BookingRow(Said):
    """A booking in a list of the desk."""

    id: UUID
    state: BookingState
    package: str
    market: Market
    created_at: datetime
    contact_due_at: datetime | None
    friend: Known | None
    place: Town
    address_precision: str | None
    price: Money
    customer_name: str


class WholeEvent(Event):
    """A fact with who brought it about."""

    actor: str


class OfferMade(Said):
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


class AwardMade(Said):
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


class Note(Said):
    """What an operator noted down; nothing is changed later."""

    at: datetime
    by: UUID
    name: str
    text: str


class Notes(Said):
    """All notes, the first one first."""

    items: list[Note]


class BookingWhole(BookingSaid):
    """Everything about one booking."""

    partner: str | None
    address_precision: str | None
    radius_m: int | None
    signature: str | None
    events: list[WholeEvent]
    offers_made: list[OfferMade]
    awards: list[AwardMade]
    notes: list[Note]


class Neighbour(Said):
    """A friend near a booking with what he is to it now: an outcome, FITS or HOLDS_IT."""

    friend_id: UUID
    ref: str
    name: str
    lat: float
    lon: float
    distance_m: int
    outcome: Outcome | Standing


class Neighbours(Said):
    """Friends near a booking, the nearest first."""

    items: list[Neighbour]
    server_time: datetime


class FriendRow(Said):
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


class Held(Said):
    """A certificate he holds or held; without an end `valid_until` is null."""

    code: str
    valid_from: datetime
    valid_until: datetime | None


class JobRow(Said):
    """A job he holds or held."""

    booking_id: UUID
    state: AwardState
    booking_state: BookingState
    package: str
    awarded_at: datetime
    ended_at: datetime | None


class FriendWhole(Said):
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
    quiet: Quiet | None
    certificates: list[Held]
    communities: list[str]
    stars: float | None
    ratings: int
    jobs: list[JobRow]
    notes: list[Note]
    created_at: datetime


class BadRow(Said):
    """A row that cannot be taken: its line (0 is the whole file), what is wrong, and the cure."""

    line: int
    field: str
    problem: str
    cure: str


class Imported(Said):
    """What an import did, or in a dry run would do; nothing while a row is bad."""

    taken_in: int = Field(description="Friends who are new.")
    changed: int
    unchanged: int
    dry_run: bool
    rows: list[BadRow]


class MapState(StrEnum):
    """How a friend stands: as `active` as can be asked now, or `busy` and asked no more for now."""

    ACTIVE = "active"
    BUSY = "busy"
    PAUSED = "paused"
    SUSPENDED = "suspended"


class FriendColumns(Said):
    """All friends; what stands at one place in each column belongs together."""

    id: list[UUID]
    lat: list[float]
    lon: list[float]
    state: list[MapState]
    tier: list[Tier]


class BookingColumns(Said):
    """The bookings under way or of the last seven days, at most 20,000 together, in columns."""

    id: list[UUID]
    lat: list[float]
    lon: list[float]
    state: list[BookingState]


class Map(Said):
    """Where everybody is."""

    friends: FriendColumns
    bookings: BookingColumns
    server_time: datetime


class Waiting(StrEnum):
    """What a message waits for: a person, or its turn."""

    PARKED = "parked"
    PENDING = "pending"


class MessageRow(Said):
    """A message that has not left; `since` is when it was last tried, or is to be."""

    id: UUID
    booking_id: UUID
    channel: Channel
    audience: Audience
    template: str
    state: Waiting
    attempts: int
    since: datetime
    problem: str | None


class KeySaid(Said):
    """A key by its beginning; all of it is told only when it is made."""

    prefix: str
    created_at: datetime
    revoked_at: datetime | None


class PartnerSaid(Said):
    """A retailer who books for his customers."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
    keys: list[KeySaid]


class Partners(Said):
    """All partners by name."""

    items: list[PartnerSaid]


class NewKey(Said):
    """A key, told only now; `prefix` is what is shown of it later."""

    key: str
    prefix: str


class PartnerMade(NewKey):
    """A new partner with his first key, which is told only now."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
