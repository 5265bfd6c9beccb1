"""The JSON of responses for the desk."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, WithJsonSchema

from api.schemas.base import Money, ResponseModel
from api.schemas.people import AreaResponse, Base, DaySpan, Holiday, QuietHours
from api.schemas.responses import BookingResponse, Event
from data.enums import (
    Audience,
    AwardState,
    BookingState,
    Channel,
    FriendState,
    OfferState,
    Outcome,
    SubjectKind,
    Tier,
)
from data.markets import Language, Market
from dispatch.rules.jobs.nearby import DeskOutcome
from dispatch.rules.journal import JOURNAL


class FrameOutcome(StrEnum):
    """The outcome of a friend who was not among those considered."""

    OUT_OF_FRAME = "OUT_OF_FRAME"


class ConsideredFriend(ResponseModel):
    """One considered friend with the outcome; `rank` counts the qualified ones."""

    friend_id: UUID
    ref: str
    outcome: Outcome | FrameOutcome
    distance_m: int
    rank: int | None


class Reach(ResponseModel):
    """How many friends' own radius covers the address, by outcome, listed or not.

    When enough qualified only those up to `within_m` away, as far as everybody is listed; null when
    too few did, and all are counted.
    """

    counts: dict[Outcome, int]
    within_m: int | None


class Decision(ResponseModel):
    """One fan-out: who was considered, who got an offer, and why the others did not."""

    seq: int
    round: int
    tier: Tier
    at: datetime
    policy: str
    friends: list[ConsideredFriend]
    reach: Annotated[
        Reach | None,
        Field(description="Null when nobody was searched for, or when an older release decided."),
    ]


class NumbersResponse(ResponseModel):
    """Events since midnight, each booking counted once per kind; and present totals."""

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
    """The number of items in each queue, counted up to ten thousand."""

    unfilled: int
    contact_due_soon: int
    missed: int
    disputed: int
    nothing_agreed: int
    hand_backs: int
    contested: int
    parked_messages: int
    unsure_addresses: int
    incomplete: int


class FriendName(ResponseModel):
    """A friend with ref and first name."""

    id: UUID
    ref: str
    first_name: str


class Town(ResponseModel):
    """The approximate location of a booking."""

    postcode: str | None
    city: str | None


class BookingRow(ResponseModel):
    """A booking in a list."""

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
    """An event with its actor."""

    actor: str


class OfferRow(ResponseModel):
    """One offer of a booking, and its end."""

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
    """One award of a booking, its end, and the friend's protocol."""

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
    """A note by an operator; notes are never changed."""

    at: datetime
    by: UUID
    name: str
    text: str


class NotesResponse(ResponseModel):
    """All notes, oldest first."""

    items: list[Note]


class PersonExportResponse(ResponseModel):
    """Everything kept about a person, by booking and account; the fields are those of the rows."""

    items: list[dict[str, Any]]


class PersonErasedResponse(ResponseModel):
    """How many bookings and accounts were emptied, and mails deleted that were kept as files.

    `address_kept` counts those whose name and postal address the law asks for.
    """

    erased: int
    address_kept: int
    mails_deleted: int


class BookingDetailsResponse(BookingResponse):
    """All data about one booking."""

    partner: str | None
    address_precision: str | None
    radius_m: int | None
    signature: str | None
    needs_pro: bool
    events: list[DeskEvent]
    offers_made: list[OfferRow]
    awards: list[AwardRow]
    notes: list[Note]


class NearbyFriend(ResponseModel):
    """A friend near a booking with the present outcome, `FITS` or `HOLDS_IT`.

    `awardable` says whether the job could be awarded by hand, if the friend agrees.
    """

    friend_id: UUID
    ref: str
    name: str
    phone: str | None
    stars: float | None
    ratings: int
    open_jobs: int
    capacity: int
    awardable: bool
    lat: float
    lon: float
    distance_m: int
    outcome: Outcome | DeskOutcome


class NearbyFriendsResponse(ResponseModel):
    """Friends near a booking, nearest first."""

    items: list[NearbyFriend]
    server_time: datetime


class FriendRow(ResponseModel):
    """A friend in a list, with the currently valid certificates."""

    id: UUID
    ref: str
    name: str
    phone: str | None
    state: FriendState
    tier: Tier
    market: Market
    postcode: str | None
    city: str | None
    languages: list[Language]
    radius_m: int
    capacity: int
    open_jobs: int
    stars: float | None
    ratings: int
    certificates: list[str]


class HeldCertificate(ResponseModel):
    """A present or past certificate of a friend; `valid_until` is null without an end."""

    code: str
    valid_from: datetime
    valid_until: datetime | None


class JobRow(ResponseModel):
    """A present or past job of a friend."""

    booking_id: UUID
    state: AwardState
    booking_state: BookingState
    package: str
    awarded_at: datetime
    ended_at: datetime | None


class FriendDetailsResponse(ResponseModel):
    """All data about one friend, with the last twenty jobs.

    `alarmed_at` is when too many jobs handed back paused the friend; limits that are null are those
    of the policy.
    """

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
    week: list[DaySpan] | None
    holidays: list[Holiday]
    areas: list[AreaResponse]
    certificates: list[HeldCertificate]
    communities: list[str]
    stars: float | None
    ratings: int
    alarmed_at: datetime | None
    jobs_per_day: int | None
    hand_backs_per_day: int | None
    capacity_max: int | None
    radius_max_m: int | None
    jobs: list[JobRow]
    notes: list[Note]
    created_at: datetime


class RowProblem(ResponseModel):
    """A bad row: its line (0 is the whole file), the problem and the cure."""

    line: int
    field: str
    problem: str
    cure: str


class ImportResponse(ResponseModel):
    """The result of an import, or of a dry run, which counts the effect of the good rows.

    Unless `skip_bad`, an import with a bad row changes nothing, and its counts are 0.
    """

    taken_in: int = Field(description="Newly created friends.")
    changed: int
    unchanged: int
    dry_run: bool
    bad_rows: int = Field(description="Rows with at least one problem.")
    rows: list[RowProblem] = Field(
        description="Every problem of every row, at most about 1,000 problems."
    )


class MapState(StrEnum):
    """A friend's state; `busy` is active without free capacity for offers."""

    ACTIVE = "active"
    BUSY = "busy"
    PAUSED = "paused"
    SUSPENDED = "suspended"


class FriendColumns(ResponseModel):
    """All friends in columns; equal indexes belong together."""

    id: list[UUID]
    lat: list[float]
    lon: list[float]
    state: list[MapState]
    tier: list[Tier]


class BookingColumns(ResponseModel):
    """Open bookings and those of the last seven days, at most 20,000 together, in columns."""

    id: list[UUID]
    lat: list[float]
    lon: list[float]
    state: list[BookingState]


class MapResponse(ResponseModel):
    """The locations of all friends and bookings."""

    friends: FriendColumns
    bookings: BookingColumns
    server_time: datetime


class MessageState(StrEnum):
    """Whether a message needs a person or is waiting for delivery."""

    PARKED = "parked"
    PENDING = "pending"


class ErrandRow(ResponseModel):
    """A parked call of a provider; `since` is its last attempt."""

    id: UUID
    kind: str
    subject_kind: SubjectKind
    subject_id: UUID
    attempts: int
    since: datetime
    problem: str | None


class MessageRow(ResponseModel):
    """An unsent message; `since` is its last attempt, or its next one.

    `booking_id` is null where the subject is no booking.
    """

    id: UUID
    booking_id: UUID | None
    subject_kind: SubjectKind
    subject_id: UUID
    channel: Channel
    audience: Audience
    template: str
    state: MessageState
    attempts: int
    since: datetime
    problem: str | None


class JournalEntry(ResponseModel):
    """What happened to a person or a partner; `seq` has no gaps."""

    seq: int
    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(JOURNAL)})]
    at: datetime
    actor: str
    data: dict[str, Any]


class PartnerKey(ResponseModel):
    """The prefix of a key; the key itself is only in the response that created it."""

    prefix: str
    created_at: datetime
    revoked_at: datetime | None


class Partner(ResponseModel):
    """A retailer who books for customers."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
    keys: list[PartnerKey]


class PartnersResponse(ResponseModel):
    """All partners sorted by name."""

    items: list[Partner]


class KeyCreatedResponse(ResponseModel):
    """A new key, contained only in this response; `prefix` identifies it later."""

    key: str
    prefix: str


class PartnerCreatedResponse(KeyCreatedResponse):
    """A new partner with the first key, contained only in this response."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
