"""Friends as the desk keeps them: a list, one whole, his state, his certificates, files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, Field, Strict, StringConstraints

from api import cursors
from api.auth import AnOperator, Operator, Rt, actor
from api.cursors import Cursor, Limit
from api.direct import Direct, Guarded
from api.fields import Reason, Word, unfit
from api.openapi import problems
from api.routes.desk_bookings import Note, notes_said
from api.routes.profile import Base, Quiet, quiet_said
from api.schemas import Asked, Page, Said, example
from data.records import AwardState, BookingState, FriendId, FriendState, Language, Market, Tier
from dispatch.flows import desk, friends
from dispatch.flows.desk import NotesFull
from dispatch.flows.friend_files import ENDINGS, take_in_text
from dispatch.rules.refused import NotFound
from dispatch.runtime import Runtime

FILE_MAX: Final = 5_000_000

router = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=Direct)
files = APIRouter(prefix="/v1/desk/friends", tags=["desk"], route_class=Guarded)


def _known_ending(filename: str) -> str:
    if PurePath(filename).suffix.lower() not in ENDINGS:
        raise unfit("is not the name of a CSV or GeoJSON file", "let it end in .csv or .geojson")
    return filename


Filename = Annotated[Word, AfterValidator(_known_ending)]
Flag = Annotated[bool, Strict()]


class FriendRow(Said):
    """A friend in a list of the desk, with the certificates that are valid now."""

    id: UUID
    ref: str
    name: str
    state: FriendState
    tier: Tier
    market: Market
    postcode: str | None
    city: str | None
    languages: list[Language]
    radius_m: int
    capacity: int
    open_jobs: int
    certificates: list[str]


class Held(Said):
    """A certificate he holds or held; without an end `valid_until` is null."""

    code: str
    valid_from: datetime
    valid_until: datetime | None


class JobRow(Said):
    """A job he holds or held."""

    booking_id: UUID
    state: AwardState
    booking_state: BookingState
    package: str
    awarded_at: datetime
    ended_at: datetime | None


class FriendWhole(Said):
    """Everything about one friend, with his last twenty jobs."""

    id: UUID
    ref: str
    name: str
    email: str
    phone: str | None
    state: FriendState
    tier: Tier
    market: Market
    postcode: str | None
    city: str | None
    base: Base | None
    precision: str | None
    languages: list[Language]
    radius_m: int
    capacity: int
    open_jobs: int
    live_offers: int
    quiet: Quiet | None
    certificates: list[Held]
    communities: list[str]
    stars: float | None
    ratings: int
    jobs: list[JobRow]
    notes: list[Note]
    created_at: datetime


class StateAsked(Asked):
    """How a friend shall stand from now on; the reason is kept among the notes about him."""

    model_config = example({"state": "paused", "reason": "On holiday until August."})

    state: FriendState
    reason: Reason | None = None


class ImportAsked(Asked):
    """A file of friends; a dry run says what would be, and changes nothing."""

    model_config = example(
        {
            "filename": "friends.csv",
            "content": "ref,name,email,phone,radius_km,languages,lat,lon\n"
            "zh-900,Bea Beispiel,bea@example.org,+41 44 000 17 39,8,de;en,47.37,8.54\n",
            "dry_run": True,
        }
    )

    filename: Filename
    content: Annotated[str, StringConstraints(min_length=1, max_length=FILE_MAX)]
    dry_run: Flag = False
    skip_bad: Flag = Field(False, description="Take in the good rows and leave out the bad ones.")


class BadRow(Said):
    """A row that cannot be taken: its line (0 is the whole file), what is wrong, and the cure."""

    line: int
    field: str
    problem: str
    cure: str


class Imported(Said):
    """What an import did, or in a dry run would do; nothing while a row is bad."""

    taken_in: int = Field(description="Friends who are new.")
    changed: int
    unchanged: int
    dry_run: bool
    rows: list[BadRow]


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
    limit: Limit = cursors.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[FriendRow]:
    """In the order of their refs. That somebody looked is written down."""
    after = cursors.to_word(cursor)
    found = await desk.friend_rows(
        rt, state=state, words=q, after=after, limit=limit + 1, actor=actor(who)
    )
    items = [FriendRow(**row) for row in found[:limit]]
    more = cursors.of_word(items[-1].ref) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@files.post("/import", summary="Take in a file")
async def import_friends(rt: Rt, who: AnOperator, asked: ImportAsked) -> Imported:
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
    return Imported(
        taken_in=report.done.created,
        changed=report.done.changed,
        unchanged=report.done.unchanged,
        dry_run=asked.dry_run,
        rows=[BadRow.model_validate(fault) for fault in report.faults],
    )


@router.get("/{friend_id}", summary="One whole", responses=problems(NotFound))
async def open_friend(rt: Rt, who: AnOperator, friend_id: UUID) -> FriendWhole:
    """Everything about a friend. That somebody looked is written down."""
    return await _whole(rt, who, FriendId(friend_id))


@router.post(
    "/{friend_id}/state",
    summary="Pause or bring back",
    responses=problems(NotFound, NotesFull),
)
async def set_friend_state(
    rt: Rt, who: AnOperator, friend_id: UUID, asked: StateAsked
) -> FriendWhole:
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
async def certify_friend(rt: Rt, who: AnOperator, friend_id: UUID, code: Code) -> FriendWhole:
    """From now on, for as long as its kind is valid; one he holds stays as it is."""
    await friends.certify(rt, FriendId(friend_id), code, actor=actor(who))
    return await _whole(rt, who, FriendId(friend_id))


@router.delete(
    "/{friend_id}/certificates/{code}", summary="Take it away", responses=problems(NotFound)
)
async def uncertify_friend(rt: Rt, who: AnOperator, friend_id: UUID, code: Code) -> FriendWhole:
    """He is no longer asked for what needs it; jobs he holds stay his."""
    await friends.uncertify(rt, FriendId(friend_id), code, actor=actor(who))
    return await _whole(rt, who, FriendId(friend_id))


async def _whole(rt: Runtime, who: Operator, friend_id: FriendId) -> FriendWhole:
    row, names = await desk.open_friend(rt, friend_id, actor=actor(who))
    return FriendWhole.model_validate(
        {
            **{name: value for name, value in row.items() if name in FriendWhole.model_fields},
            "base": _base(row),
            "quiet": quiet_said(row),
            "notes": notes_said(row["desk_notes"], names),
        }
    )


def _base(row: Mapping[str, Any]) -> Base | None:
    return None if row["lat"] is None else Base(lat=row["lat"], lon=row["lon"])
