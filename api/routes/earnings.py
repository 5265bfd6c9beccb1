"""What a friend has earned."""

from __future__ import annotations

from fastapi import APIRouter

from api.http import pagination
from api.http.auth import CurrentFriend, Rt
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.schemas import base, presenters, responses
from data.store import read_models
from dispatch.flows.read_only import read_connection

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=CompiledRoute)


@router.get("/earnings", summary="List my earnings")
async def list_my_earnings(
    rt: Rt, caller: CurrentFriend, limit: Limit = pagination.PAGE_DEFAULT, cursor: Cursor = None
) -> base.Page[responses.Earning]:
    """Pay for jobs and shares of fees, newest first; also of jobs that others have by now."""
    async with read_connection(rt) as tx:
        found = await read_models.earnings(
            tx, caller.friend_id, before=pagination.decode_time(cursor), limit=limit + 1
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return base.Page(
        items=[presenters.present_earning(view, rt.catalogue) for view in page],
        next_cursor=pagination.encode_time(last.at, last.booking_id) if last else None,
    )
