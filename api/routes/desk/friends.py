"""Friends as the desk keeps them: a list, one whole, his state, his certificates, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query

from api.http import pagination
from api.http.auth import AnOperator, Operator, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import Direct, Guarded
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import presenters, requests, responses
from api.schemas.fields import Word
from api.schemas.responses import Page
from data.enums import FriendState
from data.records.ids import FriendId
from dispatch.flows import desk
from dispatch.flows.people import friends
from dispatch.flows.people.friend_import import take_in_text
from dispatch.rules.people.desk_notes import NotesFull
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=Direct)
files = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=Guarded)


@router.get("", summary="Friends in a state, or found")
async def find_friends(
    *,
    rt: Rt,
    who: AnOperator,
    q: Annotated[
        Word | None,
        Query(
            description="An id, the beginning of a `ref`, or beginnings of words of name, mail, "
            "telephone number, postcode and town."
        ),
    ] = None,
    state: Annotated[FriendState | None, Query()] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[desk_schemas.FriendRow]:
    """In the order of their refs. That somebody looked is written down."""
    after = pagination.to_word(cursor)
    found = await desk.friend_rows(
        rt, state=state, words=q, after=after, limit=limit + 1, actor=actor(who)
    )
    items = [desk_schemas.FriendRow(**row) for row in found[:limit]]
    more = pagination.of_word(items[-1].ref) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@files.post("/import", summary="Take in a file")
async def import_friends(
    rt: Rt, who: AnOperator, asked: requests.ImportRequest
) -> desk_schemas.ImportResponse:
    """Create or change friends by the file's own `ref`; the columns are those of the command.

    Every row is checked first. While one is bad nothing is taken in, unless `skip_bad`. The same
    file again changes nothing.
    """
    report = await take_in_text(
        rt,
        asked.filename,
        asked.content,
        dry_run=asked.dry_run,
        skip_bad=asked.skip_bad,
        actor=actor(who),
    )
    return desk_schemas.ImportResponse(
        taken_in=report.done.created,
        changed=report.done.changed,
        unchanged=report.done.unchanged,
        dry_run=asked.dry_run,
        rows=[desk_schemas.RowProblem.model_validate(fault) for fault in report.faults],
    )


@router.get("/{friend_id}", summary="One whole", responses=problems(NotFound))
async def open_friend(
    rt: Rt, who: AnOperator, friend_id: UUID
) -> desk_schemas.FriendDetailsResponse:
    """Everything about a friend. That somebody looked is written down."""
    return await _whole(rt, who, FriendId(friend_id))


@router.post(
    "/{friend_id}/state",
    summary="Pause or bring back",
    responses=problems(NotFound, NotesFull),
)
async def set_friend_state(
    rt: Rt, who: AnOperator, friend_id: UUID, asked: requests.FriendStateRequest
) -> desk_schemas.FriendDetailsResponse:
    """A paused friend is asked no more; a suspended one is shut out. Jobs he holds stay his."""
    await friends.set_state(
        rt,
        FriendId(friend_id),
        asked.state,
        actor=actor(who),
        reason=(who.person_id, asked.reason) if asked.reason else None,
    )
    return await _whole(rt, who, FriendId(friend_id))


Code = Annotated[str, Path(pattern="^[a-z0-9-]{2,40}$", description="The certificate's code.")]


@router.put(
    "/{friend_id}/certificates/{code}", summary="Give a certificate", responses=problems(NotFound)
)
async def certify_friend(
    rt: Rt, who: AnOperator, friend_id: UUID, code: Code
) -> desk_schemas.FriendDetailsResponse:
    """From now on, for as long as its kind is valid; one he holds stays as it is."""
    await friends.certify(rt, FriendId(friend_id), code, actor=actor(who))
    return await _whole(rt, who, FriendId(friend_id))


@router.delete(
    "/{friend_id}/certificates/{code}", summary="Take it away", responses=problems(NotFound)
)
async def uncertify_friend(
    rt: Rt, who: AnOperator, friend_id: UUID, code: Code
) -> desk_schemas.FriendDetailsResponse:
    """He is no longer asked for what needs it; jobs he holds stay his."""
    await friends.uncertify(rt, FriendId(friend_id), code, actor=actor(who))
    return await _whole(rt, who, FriendId(friend_id))


async def _whole(
    rt: Runtime, who: Operator, friend_id: FriendId
) -> desk_schemas.FriendDetailsResponse:
    row, names = await desk.open_friend(rt, friend_id, actor=actor(who))
    return desk_schemas.FriendDetailsResponse.model_validate(
        {
            **{
                name: value
                for name, value in row.items()
                if name in desk_schemas.FriendDetailsResponse.model_fields
            },
            "base": _base(row),
            "quiet": presenters.quiet_hours(row),
            "notes": presenters.notes(row["desk_notes"], names),
        }
    )


def _base(row: Mapping[str, Any]) -> responses.Base | None:
    return None if row["lat"] is None else responses.Base(lat=row["lat"], lon=row["lon"])
