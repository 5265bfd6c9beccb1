"""The JSON of responses about bookings, offers and jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, WithJsonSchema

from api.schemas.base import Money, ResponseModel
from data.enums import Audience, BookingState, OfferState, Outcome, Wish
from data.markets import Language, Market
from dispatch.rules.jobs.contact import ContactContest
from dispatch.rules.jobs.contest import Contest
from dispatch.rules.jobs.events import EVENTS, seen_by
from dispatch.rules.jobs.outcomes import FRIEND_OUTCOMES, Nearness, Suitability
from dispatch.rules.money.earnings import Cause

FriendOutcome = Annotated[
    Outcome | Nearness | Suitability, WithJsonSchema({"type": "string", "enum": FRIEND_OUTCOMES})
]


class PackageName(ResponseModel):
    """A package with its name in the reader's language."""

    code: str
    name: str


class LiveOffers(ResponseModel):
    """The number of live offers."""

    live: int


class Appointment(ResponseModel):
    """The agreed time of the visit; `revision` grows with every change."""

    starts_at: datetime
    ends_at: datetime
    revision: int


class Helper(ResponseModel):
    """The awarded friend as shown to customers; `stars` is the mean of the ratings that stand."""

    first_name: str
    photo: UUID | None
    languages: list[Language]
    stars: float | None
    ratings: int


class AskedFirst(ResponseModel):
    """The friend of an earlier job, who is asked alone until then, as the customer wanted."""

    first_name: str
    until: datetime


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
    language: Language
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
    contest: Contest | None = None
    contact_contest: ContactContest | None = None
    answer_by: datetime | None = None
    called_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class BookingResponse(Milestones):
    """A booking as visible to the caller; `customer` is for a signed-in one, its friend, the desk.

    `package_name` is what it was sold as, in the language of the booking.
    `timezone` is the IANA time zone of the place. `cancellation` is null when the booking cannot be
    cancelled; `cancel_fee` is what a cancellation cost. Until `contestable_until` the customer may
    contest the completion. `asked_first` is only for the customer and the desk, `signature`, an SVG
    path in a box of 600 x 200, only for the desk.
    """

    id: UUID
    state: BookingState
    round: int
    package: str
    package_name: str
    market: Market
    timezone: str
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
    asked_first: AskedFirst | None = None
    cancellation: Cancellation | None = None
    cancel_fee: Money | None = None
    stars: int | None = None
    contestable_until: datetime | None = None
    customer: Customer | None = None
    signature: str | None = None
    server_time: datetime


class BookingCreatedResponse(ResponseModel):
    """A new booking with its customer's link.

    No link for a partner, since it acts as the customer, or in a repeat after it was renewed.
    """

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
    customer_link: str | None


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
    """An offer; `distance_m` and `minutes` of travel are measured to the centre of the cell.

    With `asked_for_you` a customer of an earlier job wants them again.
    """

    id: UUID
    booking_id: UUID
    package: PackageName
    round: int
    pay: Money
    cell: Cell
    distance_m: int
    minutes: int
    contact_within_h: int
    asked_for_you: bool
    wishes: list[Wish]
    offered_at: datetime
    expires_at: datetime
    server_time: datetime


class AcceptResponse(ResponseModel):
    """The awarded job; a repeat gets the same response while the friend has the job."""

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
    """A current or past job; `distance_m` from the base to the address while it is disclosed.

    Setting out before `leave_from` is probably a mistake; null without an appointment.
    """

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
    leave_from: datetime | None
    move_note: str | None
    distance_m: int | None
    customer: Customer | None
    server_time: datetime


class Earning(ResponseModel):
    """What a friend earned with a job, or as a share of a fee; reversed if it counts no longer."""

    booking_id: UUID
    package: PackageName
    cause: Cause
    pay: Money
    at: datetime
    reversed_at: datetime | None


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
