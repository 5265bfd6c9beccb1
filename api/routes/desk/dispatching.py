"""Dispatching by the desk: decisions, redispatch, award by hand."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.access import visible_booking
from api.http.auth import CurrentDispatcher, CurrentOperator, Rt, actor
from api.http.problems import InvalidField
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import presenters, requests, responses
from data.records.ids import BookingId
from data.store import friends, read_models
from data.store.read_models import Positions
from dispatch.flows.jobs import commands
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.refusals import AtCapacity, FriendUnfit, NotInThisState
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import NotFound
from geo.point import Point, distance_m

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["desk"], route_class=CompiledRoute)


@router.get("/decisions", summary="List decisions", responses=problems(NotFound))
async def list_decisions(
    rt: Rt,
    caller: CurrentOperator,
    booking_id: UUID,
    friend: Annotated[
        str | None,
        Query(min_length=1, max_length=100, description="Only this friend, by id or `ref`."),
    ] = None,
) -> list[desk_schemas.Decision]:
    """Every fan-out with the outcome of each friend considered, or of `friend` alone."""
    if friend is not None and "\0" in friend:
        raise InvalidField("friend", "contains the control character U+0000", "remove it")
    positions = None
    async with read_connection(rt) as tx:
        if await read_models.owner(tx, BookingId(booking_id)) is None:
            raise NotFound
        found = await read_models.decisions(tx, BookingId(booking_id))
        if friend is not None:
            positions = await read_models.positions(tx, friend, BookingId(booking_id))
            if positions is None:
                raise NotFound
    decisions = [desk_schemas.Decision.model_validate(view) for view in found]
    return (
        [_only_friend(decision, positions, rt.policy) for decision in decisions]
        if positions
        else decisions
    )


@router.post(
    "/redispatch", summary="Redispatch a booking", responses=problems(NotFound, NotInThisState)
)
async def redispatch_booking(
    rt: Rt,
    caller: CurrentDispatcher,
    booking_id: UUID,
    body: requests.RedispatchRequest | None = None,
) -> responses.BookingResponse:
    """Start a new round of offers; an awarded friend loses the job.

    A job that needs a pro is offered to pros alone, until the desk lifts that.
    """
    needs_pro = body.needs_pro if body else None
    await commands.redispatch(rt, BookingId(booking_id), actor=actor(caller), needs_pro=needs_pro)
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/uphold", summary="Dismiss an objection", responses=problems(NotFound, NotInThisState)
)
async def uphold_completion(
    rt: Rt, caller: CurrentDispatcher, booking_id: UUID
) -> responses.BookingResponse:
    """Leave a contested job completed; customer and friend are notified. Idempotent."""
    await commands.uphold(rt, BookingId(booking_id), actor=actor(caller))
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/reopen", summary="Reopen a contested job", responses=problems(NotFound, NotInThisState)
)
async def reopen_booking(
    rt: Rt, caller: CurrentDispatcher, booking_id: UUID
) -> responses.BookingResponse:
    """Reverse the charge, release the friend and start a new round of offers."""
    await commands.reopen(rt, BookingId(booking_id), actor=actor(caller))
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/award",
    summary="Award a booking by hand",
    responses=problems(NotFound, NotInThisState, FriendUnfit, AtCapacity),
)
async def award_booking(
    rt: Rt, caller: CurrentDispatcher, booking_id: UUID, body: requests.AwardRequest
) -> responses.BookingResponse:
    """Award the job to a friend who agreed by telephone; live offers are withdrawn."""
    async with read_connection(rt) as tx:
        friend_id = await friends.find_id(tx, body.friend)
    if friend_id is None:
        raise FriendUnfit(f"there is no friend {body.friend!r}; give the id or the ref of one")
    await commands.award_by_hand(rt, BookingId(booking_id), friend_id, actor=actor(caller))
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


def _only_friend(
    decision: desk_schemas.Decision, positions: Positions, policy: Policy
) -> desk_schemas.Decision:
    considered = [one for one in decision.friends if one.friend_id == positions.friend_id]
    point = matching.reference_point(Point(*positions.booking), Point(*positions.cell), policy)
    out_of_frame = desk_schemas.ConsideredFriend(
        friend_id=positions.friend_id,
        ref=positions.ref,
        outcome=desk_schemas.FrameOutcome.OUT_OF_FRAME,
        distance_m=int(distance_m(Point(*positions.friend), point)),
        rank=None,
    )
    return decision.model_copy(update={"friends": considered or [out_of_frame]})
