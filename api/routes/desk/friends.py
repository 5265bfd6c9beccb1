"""Friends for the desk: search, details, state, certificates, import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api.http import pagination
from api.http.auth import CurrentAdmin, CurrentDispatcher, CurrentOperator, Operator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import AuthFirstRoute, CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import people as people_schemas
from api.schemas import presenters, requests
from api.schemas.base import Page
from api.schemas.fields import Word
from data.enums import FriendState
from data.records.ids import FriendId
from data.store.friend_admin import FriendLimits
from dispatch.flows import desk
from dispatch.flows.people import friends
from dispatch.flows.people.friend_import import import_text
from dispatch.rules.people.applications import ApplicationUndecided
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=CompiledRoute)
files = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=AuthFirstRoute)


@router.get("", summary="Search friends")
async def find_friends(
    *,
    rt: Rt,
    caller: CurrentOperator,
    q: Annotated[
        Word | None,
        Query(
            description="An id, a prefix of a `ref`, or prefixes of words of name, mail, "
            "telephone number, postcode and town."
        ),
    ] = None,
    state: Annotated[FriendState | None, Query()] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[desk_schemas.FriendRow]:
    """Friends by state or text, sorted by ref. The access is logged.

    Applicants are listed for their state or a text alone.
    """
    after = pagination.decode_text(cursor)
    found = await desk.friend_rows(
        rt, state=state, words=q, after=after, limit=limit + 1, actor=actor(caller)
    )
    items = [desk_schemas.FriendRow(**row) for row in found[:limit]]
    more = pagination.encode_text(items[-1].ref) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@files.post("/import", summary="Import a file of friends")
async def import_friends(
    rt: Rt, caller: CurrentAdmin, body: requests.ImportRequest
) -> desk_schemas.ImportResponse:
    """Create or change friends by their `ref`; the columns are those of `tekkie friends import`.

    Every row is validated first. A bad row stops the import unless `skip_bad`. Idempotent.
    Dry runs and refused imports are logged too.
    """
    report = await import_text(
        rt,
        body.filename,
        body.content,
        dry_run=body.dry_run,
        skip_bad=body.skip_bad,
        actor=actor(caller),
    )
    return desk_schemas.ImportResponse(
        taken_in=report.done.created,
        changed=report.done.changed,
        unchanged=report.done.unchanged,
        dry_run=body.dry_run,
        bad_rows=report.bad,
        rows=[desk_schemas.RowProblem.model_validate(fault) for fault in report.faults],
    )


@router.get("/{friend_id}", summary="Get a friend's details", responses=problems(NotFound))
async def open_friend(
    rt: Rt, caller: CurrentOperator, friend_id: UUID
) -> desk_schemas.FriendDetailsResponse:
    """All data about a friend. The access is logged."""
    return await _details(rt, caller, FriendId(friend_id))


@router.post(
    "/{friend_id}/state",
    summary="Set the state of a friend",
    responses=problems(NotFound, NotesFull, ApplicationUndecided),
)
async def set_friend_state(
    rt: Rt, caller: CurrentDispatcher, friend_id: UUID, body: requests.FriendStateRequest
) -> desk_schemas.FriendDetailsResponse:
    """A paused friend gets no offers; a suspended one cannot sign in either. Open jobs stay."""
    await friends.set_state(
        rt,
        FriendId(friend_id),
        body.state,
        actor=actor(caller),
        reason=(caller.person_id, body.reason) if body.reason else None,
    )
    return await _details(rt, caller, FriendId(friend_id))


@router.put(
    "/{friend_id}/limits", summary="Set the limits of a friend", responses=problems(NotFound)
)
async def set_friend_limits(
    rt: Rt, caller: CurrentDispatcher, friend_id: UUID, body: requests.FriendLimitsRequest
) -> desk_schemas.FriendDetailsResponse:
    """What this friend may do in a day and set in the profile; null is what the policy allows."""
    allowed = FriendLimits(**body.model_dump())
    await friends.set_limits(rt, FriendId(friend_id), allowed, actor=actor(caller))
    return await _details(rt, caller, FriendId(friend_id))


Code = Annotated[str, Path(pattern="^[a-z0-9-]{2,40}$", description="The certificate's code.")]


@router.put(
    "/{friend_id}/certificates/{code}", summary="Add a certificate", responses=problems(NotFound)
)
async def certify_friend(
    rt: Rt, caller: CurrentDispatcher, friend_id: UUID, code: Code
) -> desk_schemas.FriendDetailsResponse:
    """Valid from now for the term of its kind; an existing one stays unchanged."""
    await friends.certify(rt, FriendId(friend_id), code, actor=actor(caller))
    return await _details(rt, caller, FriendId(friend_id))


@router.delete(
    "/{friend_id}/certificates/{code}", summary="Remove a certificate", responses=problems(NotFound)
)
async def uncertify_friend(
    rt: Rt, caller: CurrentDispatcher, friend_id: UUID, code: Code
) -> desk_schemas.FriendDetailsResponse:
    """No more offers for packages that require it; open jobs stay."""
    await friends.uncertify(rt, FriendId(friend_id), code, actor=actor(caller))
    return await _details(rt, caller, FriendId(friend_id))


async def _details(
    rt: Runtime, caller: Operator, friend_id: FriendId
) -> desk_schemas.FriendDetailsResponse:
    row, names = await desk.open_friend(rt, friend_id, actor=actor(caller))
    return desk_schemas.FriendDetailsResponse.model_validate(
        {
            **{
                name: value
                for name, value in row.items()
                if name in desk_schemas.FriendDetailsResponse.model_fields
            },
            "base": _base(row),
            "quiet": presenters.present_quiet_hours(row),
            **presenters.present_plan(row),
            "notes": presenters.present_notes(row["desk_notes"], names),
        }
    )


def _base(row: Mapping[str, Any]) -> people_schemas.Base | None:
    return None if row["lat"] is None else people_schemas.Base(lat=row["lat"], lon=row["lon"])
