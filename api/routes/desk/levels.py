"""Levels of friends at the desk: the working, and levels that people set."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.auth import CurrentCommunity, CurrentOperator, Rt
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas.levels import LevelRequest, LevelResponse, present_level
from data.records.ids import FriendId
from dispatch.flows.people import levels
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=CompiledRoute)


@router.get("/{friend_id}/level", summary="Get a friend's level", responses=problems(NotFound))
async def show_level(rt: Rt, caller: CurrentOperator, friend_id: UUID) -> LevelResponse:
    """The level with its working, as the friend sees it."""
    return present_level(await levels.level_of(rt, FriendId(friend_id)), rt.policy)


@router.put(
    "/{friend_id}/level", summary="Set a friend's level", responses=problems(NotFound, NotesFull)
)
async def set_level(
    rt: Rt, caller: CurrentCommunity, friend_id: UUID, body: LevelRequest
) -> LevelResponse:
    """Set and perhaps hold a level; the friend gets a letter. The same again changes nothing."""
    one = FriendId(friend_id)
    await levels.set_level(
        rt, one, body.level, held=body.held, reason=body.reason, by=caller.person_id
    )
    return present_level(await levels.level_of(rt, one), rt.policy)
