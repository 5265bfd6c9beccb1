"""The journals of people and partners, for the desk."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http import pagination
from api.http.auth import CurrentOperator, Operator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas.base import Page
from data.records import subjects
from data.records.subjects import Subject
from dispatch.flows import desk
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/desk", tags=["desk"], route_class=CompiledRoute)

Entries = Page[desk_schemas.JournalEntry]


@router.get(
    "/people/{person_id}/journal", summary="Read a person's journal", responses=problems(NotFound)
)
async def read_journal_of_person(
    *,
    rt: Rt,
    caller: CurrentOperator,
    person_id: UUID,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Entries:
    """What happened to a friend, an operator or a customer, newest first. The access is logged."""
    return await _read(rt, caller, subjects.person(person_id), limit, cursor)


@router.get(
    "/partners/{partner_id}/journal",
    summary="Read a partner's journal",
    responses=problems(NotFound),
)
async def read_journal_of_partner(
    *,
    rt: Rt,
    caller: CurrentOperator,
    partner_id: UUID,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Entries:
    """What happened to a partner and its keys, newest first."""
    return await _read(rt, caller, subjects.partner(partner_id), limit, cursor)


async def _read(
    rt: Runtime, caller: Operator, subject: Subject, limit: int, cursor: str | None
) -> Entries:
    _, before = pagination.decode_sequence(cursor, of=subject.id) or (subject.id, None)
    found = await desk.read_journal(
        rt, subject, before=before, limit=limit + 1, actor=actor(caller)
    )
    items = [desk_schemas.JournalEntry(**row) for row in found[:limit]]
    more = pagination.encode_sequence(subject.id, items[-1].seq) if len(found) > limit else None
    return Page(items=items, next_cursor=more)
