"""Unsent messages: parked ones that need a person, and pending ones."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http import pagination
from api.http.auth import CurrentDispatcher, CurrentOperator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas.base import Page
from data.records.ids import MessageId
from dispatch.flows import desk, maintenance
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/messages", tags=["desk"], route_class=CompiledRoute)


@router.get("", summary="List unsent messages")
async def list_messages(
    *,
    rt: Rt,
    caller: CurrentOperator,
    state: Annotated[desk_schemas.MessageState, Query()] = desk_schemas.MessageState.PARKED,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[desk_schemas.MessageRow]:
    """Messages parked after the last attempt, or pending ones; oldest first."""
    after = pagination.decode_time(cursor)
    found = await desk.messages(rt, state, after=after, limit=limit + 1)
    items = [desk_schemas.MessageRow(since=row.pop("next_at"), **row) for row in found[:limit]]
    more = pagination.encode_time(items[-1].since, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@router.post(
    "/{message_id}/send-again",
    status_code=204,
    summary="Retry a parked message",
    responses=problems(NotFound),
)
async def send_message_again(rt: Rt, caller: CurrentDispatcher, message_id: UUID) -> None:
    """Send a parked message again, once the cause of the failure is corrected."""
    await maintenance.unpark(rt, MessageId(message_id), actor=actor(caller))
