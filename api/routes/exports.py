"""A friend's own data, to take along."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.http.auth import CurrentFriend, Rt
from api.http.routing import CompiledRoute
from api.openapi.document import TABLE
from api.schemas import people as people_schemas
from dispatch.flows.people import rights
from dispatch.rules.people.exports import as_csv

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=CompiledRoute)


@router.get("/export", summary="Export my own data")
async def export_my_own_data(rt: Rt, caller: CurrentFriend) -> people_schemas.FriendExportResponse:
    """Everything kept about you, pictures included. The access is logged."""
    me = caller.friend_id
    found = await rights.export_friend(rt, me, actor=f"friend:{me}")
    return people_schemas.FriendExportResponse(items=[dict(one) for one in found])


@router.get(
    "/export.csv",
    summary="Export my own data as a table",
    response_class=Response,
    responses={200: TABLE},
)
async def export_my_own_table(rt: Rt, caller: CurrentFriend) -> Response:
    """The same in CSV, a line for each fact. The access is logged."""
    me = caller.friend_id
    found = await rights.export_friend(rt, me, actor=f"friend:{me}")
    headers = {"Content-Disposition": 'attachment; filename="tekkie.csv"'}
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
