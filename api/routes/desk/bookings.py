"""Bookings for the desk: numbers of the day, queues, search, details, notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from api.http import pagination
from api.http.auth import CurrentDispatcher, CurrentOperator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import base, presenters, requests
from api.schemas import desk as desk_schemas
from api.schemas.fields import Word
from data.enums import BookingState
from data.markets import HOME, MARKETS, Market
from data.records.ids import BookingId
from data.store.desk import Queue
from dispatch.flows import desk
from dispatch.flows.desk import FriendsNearby
from dispatch.rules.jobs.matching import TRAITS
from dispatch.rules.jobs.nearby import NearbyFriend
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.people.names import first_name
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1", tags=["desk"], route_class=CompiledRoute)


@router.get("/desk/numbers", summary="Get the numbers of the day")
async def show_numbers(
    rt: Rt,
    caller: CurrentOperator,
    market: Annotated[
        Market | None, Query(description="Only this country, since its local midnight.")
    ] = None,
) -> desk_schemas.NumbersResponse:
    """What has happened since midnight; without a market in all, since midnight in Zurich."""
    row = await desk.numbers(rt, MARKETS[market or HOME].timezone, market)
    free = rt.index.count_available(TRAITS[market] if market else 0)
    server_time = row.pop("now")
    return desk_schemas.NumbersResponse(friends_available=free, server_time=server_time, **row)


@router.get("/desk/queues", summary="Count the queues of the desk")
async def show_queues(rt: Rt, caller: CurrentOperator) -> desk_schemas.QueuesResponse:
    """The number of items in each queue."""
    return desk_schemas.QueuesResponse.model_validate(
        {str(q): n for q, n in (await desk.queue_counts(rt)).items()}
    )


@router.get("/desk/bookings", summary="Search bookings")
async def find_bookings(
    *,
    rt: Rt,
    caller: CurrentOperator,
    queue: Annotated[Queue | None, Query(description="Only bookings in this queue.")] = None,
    state: Annotated[BookingState | None, Query()] = None,
    q: Annotated[
        Word | None,
        Query(
            description="An id, a partner's reference, a friend's `ref`, or prefixes of words of "
            "name, mail, telephone number, postcode and town; finds at most the newest 2,000."
        ),
    ] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> base.Page[desk_schemas.BookingRow]:
    """Bookings by queue, state or text, newest first. The access is logged."""
    found = await desk.bookings(
        rt,
        queue=queue,
        state=state,
        words=q,
        before=pagination.decode_time(cursor),
        limit=limit + 1,
        actor=actor(caller),
    )
    page = found[:limit]
    more = len(found) > limit
    last = pagination.encode_time(page[-1]["created_at"], page[-1]["id"]) if more else None
    return base.Page(items=[_row(row) for row in page], next_cursor=last)


@router.get(
    "/desk/bookings/{booking_id}",
    summary="Get a booking's details",
    responses=problems(NotFound),
)
async def open_booking(
    rt: Rt, caller: CurrentOperator, booking_id: UUID
) -> desk_schemas.BookingDetailsResponse:
    """All data about a booking. The access is logged."""
    whole = await desk.open_booking(rt, BookingId(booking_id), actor=actor(caller))
    booking = presenters.present_booking(whole.view, rt.policy, with_customer=True, by_desk=True)
    about, story = whole.details, whole.story
    return desk_schemas.BookingDetailsResponse.model_validate(
        {
            **dict(booking),
            "partner": about["partner"],
            "address_precision": about["precision"],
            "radius_m": about["radius_m"],
            "signature": about["signature"],
            "needs_pro": about["needs_pro"],
            "events": story["events"],
            "offers_made": story["offers"],
            "awards": story["awards"],
            "notes": presenters.present_notes(about["desk_notes"], whole.names),
        }
    )


@router.get(
    "/desk/bookings/{booking_id}/around",
    summary="List friends nearby",
    responses=problems(NotFound),
)
async def list_neighbours(
    rt: Rt,
    caller: CurrentOperator,
    booking_id: UUID,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of items.")] = 50,
) -> desk_schemas.NearbyFriendsResponse:
    """The nearest friends of any kind with their present outcome; nothing is decided."""
    near = await desk.friends_nearby(rt, BookingId(booking_id), limit=limit, actor=actor(caller))
    items = [_neighbour(near, one) for one in near.nearby]
    return desk_schemas.NearbyFriendsResponse(items=items, server_time=near.now)


@router.post(
    "/bookings/{booking_id}/notes",
    status_code=201,
    summary="Add a note to a booking",
    responses=problems(NotFound, NotesFull),
)
async def note_booking(
    rt: Rt, caller: CurrentDispatcher, booking_id: UUID, body: requests.NoteRequest
) -> desk_schemas.NotesResponse:
    """Add a note visible only to the desk; returns all notes about this booking."""
    kept, names = await desk.add_note(
        rt, BookingId(booking_id), body.text, by=caller.person_id, actor=actor(caller)
    )
    return desk_schemas.NotesResponse(items=presenters.present_notes(kept, names))


def _neighbour(near: FriendsNearby, one: NearbyFriend) -> desk_schemas.NearbyFriend:
    friend, contact = near.friends[one.friend_id], near.contacts[one.friend_id]
    return desk_schemas.NearbyFriend(
        friend_id=one.friend_id,
        ref=friend.ref,
        name=contact["name"],
        phone=contact["phone"],
        stars=contact["stars"],
        ratings=contact["ratings"],
        open_jobs=friend.open_jobs,
        capacity=friend.capacity,
        awardable=one.awardable,
        lat=friend.lat,
        lon=friend.lon,
        distance_m=one.distance_m,
        outcome=one.outcome,
    )


def _row(row: Mapping[str, Any]) -> desk_schemas.BookingRow:
    friend = None
    if row["friend_id"] is not None:
        friend = desk_schemas.FriendName(
            id=row["friend_id"], ref=row["ref"], first_name=first_name(row["friend_name"])
        )
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
        price=base.Money(amount=row["price_minor"], currency=row["currency"]),
        customer_name=row["name"],
    )
