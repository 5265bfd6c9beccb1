"""Bookings as the desk sees them: the day in numbers, queues, a search, one booking whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from api.http import pagination
from api.http.auth import AnOperator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import presenters, requests, responses
from api.schemas.fields import Word
from data.enums import BookingState
from data.markets import MARKETS, Market
from data.records.ids import BookingId
from data.store.desk import Queue
from dispatch.flows import desk
from dispatch.rules.jobs.matching import TRAITS
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1", tags=["desk"], route_class=Direct)


@router.get("/desk/numbers", summary="The day in numbers")
async def show_numbers(
    rt: Rt,
    who: AnOperator,
    market: Annotated[
        Market | None, Query(description="Only this country, by its own midnight.")
    ] = None,
) -> desk_schemas.NumbersResponse:
    """What has happened since midnight; without a market everywhere, since midnight in Zurich."""
    row = await desk.numbers(rt, MARKETS[market or Market.CH].timezone, market)
    free = rt.index.how_many_open(TRAITS[market] if market else 0)
    server_time = row.pop("now")
    return desk_schemas.NumbersResponse(friends_available=free, server_time=server_time, **row)


@router.get("/desk/queues", summary="What waits for a person")
async def show_queues(rt: Rt, who: AnOperator) -> desk_schemas.QueuesResponse:
    """How much waits in each queue."""
    return desk_schemas.QueuesResponse.model_validate(
        {str(q): n for q, n in (await desk.queue_counts(rt)).items()}
    )


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
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> responses.Page[desk_schemas.BookingRow]:
    """The newest first. That somebody looked is written down."""
    found = await desk.bookings(
        rt,
        queue=queue,
        state=state,
        words=q,
        before=pagination.to_moment(cursor),
        limit=limit + 1,
        actor=actor(who),
    )
    page = found[:limit]
    more = len(found) > limit
    last = pagination.of_moment(page[-1]["created_at"], page[-1]["id"]) if more else None
    return responses.Page(items=[_row(row) for row in page], next_cursor=last)


@router.get("/desk/bookings/{booking_id}", summary="One whole", responses=problems(NotFound))
async def open_booking(
    rt: Rt, who: AnOperator, booking_id: UUID
) -> desk_schemas.BookingDetailsResponse:
    """Everything about a booking. That somebody looked is written down."""
    whole = await desk.open_booking(rt, BookingId(booking_id), actor=actor(who))
    said = presenters.booking(whole.view, rt.policy, with_customer=True, by_desk=True)
    about, story = whole.about, whole.story
    return desk_schemas.BookingDetailsResponse.model_validate(
        {
            **dict(said),
            "partner": about["partner"],
            "address_precision": about["precision"],
            "radius_m": about["radius_m"],
            "signature": about["signature"],
            "events": story["events"],
            "offers_made": story["offers"],
            "awards": story["awards"],
            "notes": presenters.notes(about["desk_notes"], whole.names),
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
) -> desk_schemas.NearbyFriendsResponse:
    """The nearest friends of any kind with what each is to this booking now; nothing is decided."""
    near = await desk.around(rt, BookingId(booking_id), limit=limit, actor=actor(who))
    items = [
        desk_schemas.NearbyFriend(
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
    return desk_schemas.NearbyFriendsResponse(items=items, server_time=near.now)


@router.post(
    "/bookings/{booking_id}/notes",
    status_code=201,
    summary="Note something down",
    responses=problems(NotFound, NotesFull),
)
async def note_booking(
    rt: Rt, who: AnOperator, booking_id: UUID, asked: requests.NoteRequest
) -> desk_schemas.NotesResponse:
    """Add a note that only the desk sees; returns all notes about this booking."""
    kept, names = await desk.note(
        rt, BookingId(booking_id), asked.text, by=who.person_id, actor=actor(who)
    )
    return desk_schemas.NotesResponse(items=presenters.notes(kept, names))


def _row(row: Mapping[str, Any]) -> desk_schemas.BookingRow:
    friend = None
    if row["friend_id"] is not None:
        first_name = presenters.first_name(row["friend_name"])
        friend = desk_schemas.FriendName(id=row["friend_id"], ref=row["ref"], first_name=first_name)
    return desk_schemas.BookingRow(
        id=row["id"],
        state=row["state"],
        package=row["package"],
        market=row["market"],
        created_at=row["created_at"],
        contact_due_at=row["contact_due_at"],
        friend=friend,
        place=desk_schemas.Town(postcode=row["postcode"], city=row["city"]),
        address_precision=row["precision"],
        price=responses.Money(amount=row["price_minor"], currency=row["currency"]),
        customer_name=row["name"],
    )
