"""Calls of providers that failed too often and need a person."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http import pagination
from api.http.auth import CurrentDispatcher, CurrentOperator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas.base import Page
from dispatch.flows import answers
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/errands", tags=["desk"], route_class=CompiledRoute)


@router.get("", summary="List parked calls of providers")
async def list_errands(
    rt: Rt,
    caller: CurrentOperator,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[desk_schemas.ErrandRow]:
    """Calls parked after the last attempt; oldest first."""
    found = await answers.parked(rt, after=pagination.decode_time(cursor), limit=limit + 1)
    items = [desk_schemas.ErrandRow(**row) for row in found[:limit]]
    more = pagination.encode_time(items[-1].since, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@router.post(
    "/{errand_id}/retry",
    status_code=204,
    summary="Retry a parked call",
    responses=problems(NotFound),
)
async def retry_errand(rt: Rt, caller: CurrentDispatcher, errand_id: UUID) -> None:
    """Make a parked call again, once the cause of the failure is corrected."""
    await answers.retry(rt, errand_id, actor=actor(caller))
