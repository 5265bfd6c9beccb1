"""A friend's own level."""

from __future__ import annotations

from fastapi import APIRouter

from api.http.auth import CurrentFriend, Rt
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas.levels import LevelResponse, present_level
from dispatch.flows.people import levels
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=CompiledRoute)


@router.get("/level", summary="Get my level", responses=problems(NotFound))
async def show_my_level(rt: Rt, caller: CurrentFriend) -> LevelResponse:
    """My level, the points of each part, what the next level takes, and the moves of the past."""
    return present_level(await levels.level_of(rt, caller.friend_id), rt.policy)
