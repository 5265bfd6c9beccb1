"""What the desk sees and does."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.access import visible_booking
from api.http.auth import AnOperator, Rt, actor
from api.http.problems import InvalidField
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import presenters, requests, responses
from data.records.ids import BookingId
from data.store import friends, read_models
from data.store.read_models import Apart
from dispatch.flows.jobs import commands
from dispatch.flows.read_only import reading
from dispatch.rules.jobs import matching
from dispatch.rules.jobs.refusals import AtCapacity, FriendUnfit, NotInThisState
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import NotFound
from geo.point import Point, distance_m

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["desk"], route_class=Direct)


@router.get("/decisions", summary="Who was asked, and why not others", responses=problems(NotFound))
async def list_decisions(
    rt: Rt,
    who: AnOperator,
    booking_id: UUID,
    friend: Annotated[
        str | None,
        Query(min_length=1, max_length=100, description="Only this one, by id or `ref`."),
    ] = None,
) -> list[desk_schemas.Decision]:
    """Each fan-out with one outcome for every friend in its frame, and why for one who was not."""
    if friend is not None and "\0" in friend:
        raise InvalidField("friend", "holds the control character U+0000", "remove it")
    apart = None
    async with reading(rt) as tx:
        if await read_models.owner(tx, BookingId(booking_id)) is None:
            raise NotFound
        found = await read_models.decisions(tx, BookingId(booking_id))
        if friend is not None:
            apart = await read_models.apart(tx, friend, BookingId(booking_id))
            if apart is None:
                raise NotFound
    decisions = [desk_schemas.Decision.model_validate(view) for view in found]
    return [_about(decision, apart, rt.policy) for decision in decisions] if apart else decisions


@router.post(
    "/redispatch", summary="Send it out again", responses=problems(NotFound, NotInThisState)
)
async def redispatch_booking(
    rt: Rt, who: AnOperator, booking_id: UUID
) -> responses.BookingResponse:
    """Ask the nearest again, taking the job from whoever holds it."""
    await commands.redispatch(rt, BookingId(booking_id), actor=actor(who))
    view = await visible_booking(rt, who, BookingId(booking_id))
    return presenters.booking_for(who, view, rt.policy)


@router.post(
    "/award",
    summary="Give it to a friend",
    responses=problems(NotFound, NotInThisState, FriendUnfit, AtCapacity),
)
async def award_booking(
    rt: Rt, who: AnOperator, booking_id: UUID, asked: requests.AwardRequest
) -> responses.BookingResponse:
    """Give the job to a friend who agreed by telephone; live offers are withdrawn."""
    async with reading(rt) as tx:
        friend_id = await friends.id_of(tx, asked.friend)
    if friend_id is None:
        raise FriendUnfit(f"there is no friend {asked.friend!r}; give his id or his ref")
    await commands.award_by_hand(rt, BookingId(booking_id), friend_id, actor=actor(who))
    view = await visible_booking(rt, who, BookingId(booking_id))
    return presenters.booking_for(who, view, rt.policy)


def _about(decision: desk_schemas.Decision, apart: Apart, policy: Policy) -> desk_schemas.Decision:
    lines = [line for line in decision.friends if line.friend_id == apart.friend_id]
    there = matching.vantage(Point(*apart.booking), Point(*apart.cell), policy)
    away_m = distance_m(Point(*apart.friend), there)
    unseen = desk_schemas.ConsideredFriend(
        friend_id=apart.friend_id,
        ref=apart.ref,
        outcome=desk_schemas.FrameOutcome.OUT_OF_FRAME,
        distance_m=int(away_m),
        rank=None,
    )
    return decision.model_copy(update={"friends": lines or [unseen]})
