"""Applications for the desk: those to decide, one of them, and the decision."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter

from api.http import pagination
from api.http.auth import CurrentCommunity, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import applications as schemas
from api.schemas.application_presenter import present_application
from api.schemas.base import Page
from data.enums import ApplicationState
from data.markets import Language
from data.records.ids import FriendId
from dispatch.flows.people import applications
from dispatch.rules.people.applications import ApplicationNotOpen, NotCertifiedYet
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/applications", tags=["desk"], route_class=CompiledRoute)
START = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


@router.get("", summary="List applications")
async def list_applications(
    rt: Rt,
    caller: CurrentCommunity,
    state: ApplicationState = ApplicationState.SUBMITTED,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[schemas.ApplicationRow]:
    """What was submitted and is in this state, the oldest first. The access is logged."""
    after = pagination.decode_time(cursor) or START
    found = await applications.list_submitted(rt, state, after, limit + 1, actor=actor(caller))
    items = [schemas.ApplicationRow(**row) for row in found[:limit]]
    last = items[-1] if len(found) > limit else None
    more = pagination.encode_time(last.submitted_at, last.id) if last else None
    return Page(items=items, next_cursor=more)


@router.get("/{friend_id}", summary="Get an application", responses=problems(NotFound))
async def open_application(
    rt: Rt, caller: CurrentCommunity, friend_id: UUID
) -> schemas.ApplicationResponse:
    """The last application of a person, with all facts. The access is logged."""
    found = await applications.open_for_desk(rt, FriendId(friend_id), actor=actor(caller))
    return present_application(found, Language(found.row["language"]))


@router.post(
    "/{friend_id}/accept",
    status_code=204,
    summary="Accept an application",
    responses=problems(NotFound, ApplicationNotOpen, NotCertifiedYet),
)
async def accept_application(rt: Rt, caller: CurrentCommunity, friend_id: UUID) -> None:
    """Activate an applicant who holds a certificate; a letter says so."""
    await applications.accept(rt, FriendId(friend_id), caller.person_id)


@router.post(
    "/{friend_id}/decline",
    status_code=204,
    summary="Decline an application",
    responses=problems(NotFound, ApplicationNotOpen, NotesFull),
)
async def decline_application(
    rt: Rt, caller: CurrentCommunity, friend_id: UUID, body: schemas.DeclineRequest
) -> None:
    """Decline with reasons, which the applicant sees; the note stays at the desk."""
    await applications.decline(rt, FriendId(friend_id), caller.person_id, body.reasons, body.note)
