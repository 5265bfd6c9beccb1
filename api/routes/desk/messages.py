"""Messages that wait: for a person who mends what stood in their way, or for their turn."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http import pagination
from api.http.auth import AnOperator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas.responses import Page
from data.records.ids import MessageId
from dispatch.flows import desk, maintenance
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/messages", tags=["desk"], route_class=Direct)


@router.get("", summary="Messages that wait")
async def list_messages(
    *,
    rt: Rt,
    who: AnOperator,
    state: Annotated[desk_schemas.MessageState, Query()] = desk_schemas.MessageState.PARKED,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[desk_schemas.MessageRow]:
    """Those that were tried to the end, or those whose turn will come; the oldest first."""
    after = pagination.to_moment(cursor)
    found = await desk.messages(rt, state, after=after, limit=limit + 1)
    items = [desk_schemas.MessageRow(since=row.pop("next_at"), **row) for row in found[:limit]]
    more = pagination.of_moment(items[-1].since, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@router.post(
    "/{message_id}/send-again",
    status_code=204,
    summary="Send it again",
    responses=problems(NotFound),
)
async def send_message_again(rt: Rt, who: AnOperator, message_id: UUID) -> None:
    """Try a parked message anew, once what stood in its way is mended."""
    await maintenance.unpark(rt, MessageId(message_id), actor=actor(who))
