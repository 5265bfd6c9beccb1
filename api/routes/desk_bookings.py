"""Bookings as the desk sees them: the day in numbers, queues, a search, one booking whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from api import cursors, schemas, showing
from api.auth import AnOperator, Rt, actor
from api.cursors import Cursor, Limit
from api.direct import Direct
from api.fields import Summary, Word
from api.openapi import problems
from api.schemas import Asked, Said, example
from data.records import (
    MARKETS,
    AwardState,
    BookingId,
    BookingState,
    Market,
    OfferState,
    Outcome,
)
from data.store.desk import Queue
from dispatch.flows import desk
from dispatch.flows.desk import NotesFull
from dispatch.rules.around import Standing
from dispatch.rules.matching import TRAITS
from dispatch.rules.refused import NotFound

router = APIRouter(prefix="/v1", tags=["desk"], route_class=Direct)


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
    price: schemas.Money
    customer_name: str


class WholeEvent(schemas.Event):
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


class BookingWhole(schemas.BookingSaid):
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


class NoteAsked(Asked):
    """What is to be noted down."""

    model_config = example({"text": "She asks to be called after six."})

    text: Summary


@router.get("/desk/numbers", summary="The day in numbers")
async def show_numbers(
    rt: Rt,
    who: AnOperator,
    market: Annotated[
        Market | None, Query(description="Only this country, by its own midnight.")
    ] = None,
) -> Numbers:
    """What has happened since midnight; without a market everywhere, since midnight in Zurich."""
    row = await desk.numbers(rt, MARKETS[market or Market.CH].timezone, market)
    free = rt.index.how_many_open(TRAITS[market] if market else 0)
    server_time = row.pop("now")
    return Numbers(friends_available=free, server_time=server_time, **row)


@router.get("/desk/queues", summary="What waits for a person")
async def show_queues(rt: Rt, who: AnOperator) -> Queues:
    """How much waits in each queue."""
    return Queues.model_validate({str(q): n for q, n in (await desk.queue_counts(rt)).items()})


@router.get("/desk/bookings", summary="Bookings in a queue, in a state, or found")
async def find_bookings(
    *,
    rt: Rt,
    who: AnOperator,
    queue: Annotated[Queue | None, Query(description="Only what waits in this queue.")] = None,
    state: Annotated[BookingState | None, Query()] = None,
    q: Annotated[
        Word | None,
        Query(
            description="An id, a partner's reference, a friend's `ref`, or beginnings of words "
            "of name, mail, telephone number, postcode and town; the newest 2,000 are found."
        ),
    ] = None,
    limit: Limit = cursors.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> schemas.Page[BookingRow]:
    """The newest first. That somebody looked is written down."""
    found = await desk.bookings(
        rt,
        queue=queue,
        state=state,
        words=q,
        before=cursors.to_moment(cursor),
        limit=limit + 1,
        actor=actor(who),
    )
    page = found[:limit]
    more = len(found) > limit
    last = cursors.of_moment(page[-1]["created_at"], page[-1]["id"]) if more else None
    return schemas.Page(items=[_row(row) for row in page], next_cursor=last)


@router.get("/desk/bookings/{booking_id}", summary="One whole", responses=problems(NotFound))
async def open_booking(rt: Rt, who: AnOperator, booking_id: UUID) -> BookingWhole:
    """Everything about a booking. That somebody looked is written down."""
    whole = await desk.open_booking(rt, BookingId(booking_id), actor=actor(who))
    said = showing.booking(whole.view, rt.policy, with_customer=True, by_desk=True)
    about, story = whole.about, whole.story
    return BookingWhole.model_validate(
        {
            **dict(said),
            "partner": about["partner"],
            "address_precision": about["precision"],
            "radius_m": about["radius_m"],
            "signature": about["signature"],
            "events": story["events"],
            "offers_made": story["offers"],
            "awards": story["awards"],
            "notes": notes_said(about["desk_notes"], whole.names),
        }
    )


@router.get(
    "/desk/bookings/{booking_id}/around", summary="Who is near", responses=problems(NotFound)
)
async def list_neighbours(
    rt: Rt,
    who: AnOperator,
    booking_id: UUID,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
) -> Neighbours:
    """The nearest friends of any kind with what each is to this booking now; nothing is decided."""
    near = await desk.around(rt, BookingId(booking_id), limit=limit, actor=actor(who))
    items = [
        Neighbour(
            friend_id=one.friend_id,
            ref=near.friends[one.friend_id].ref,
            name=near.names[one.friend_id],
            lat=near.friends[one.friend_id].lat,
            lon=near.friends[one.friend_id].lon,
            distance_m=one.distance_m,
            outcome=one.outcome,
        )
        for one in near.neighbours
    ]
    return Neighbours(items=items, server_time=near.now)


@router.post(
    "/bookings/{booking_id}/notes",
    status_code=201,
    summary="Note something down",
    responses=problems(NotFound, NotesFull),
)
async def note_booking(rt: Rt, who: AnOperator, booking_id: UUID, asked: NoteAsked) -> Notes:
    """Add a note that only the desk sees; returns all notes about this booking."""
    kept, names = await desk.note(
        rt, BookingId(booking_id), asked.text, by=who.person_id, actor=actor(who)
    )
    return Notes(items=notes_said(kept, names))


def notes_said(kept: Sequence[Mapping[str, Any]], names: Mapping[UUID, str]) -> list[Note]:
    """Notes with the names of those who wrote them."""
    return [
        Note(at=one["at"], by=(by := UUID(one["by"])), name=names.get(by, ""), text=one["text"])
        for one in kept
    ]


def _row(row: Mapping[str, Any]) -> BookingRow:
    friend = None
    if row["friend_id"] is not None:
        first_name = showing.first_name(row["friend_name"])
        friend = Known(id=row["friend_id"], ref=row["ref"], first_name=first_name)
    return BookingRow(
        id=row["id"],
        state=row["state"],
        package=row["package"],
        market=row["market"],
        created_at=row["created_at"],
        contact_due_at=row["contact_due_at"],
        friend=friend,
        place=Town(postcode=row["postcode"], city=row["city"]),
        address_precision=row["precision"],
        price=schemas.Money(amount=row["price_minor"], currency=row["currency"]),
        customer_name=row["name"],
    )
