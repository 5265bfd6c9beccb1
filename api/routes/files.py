"""Pictures: a friend's photo, evidence of who somebody is, and the results of jobs."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Response

from api.http.access import visible_booking
from api.http.auth import (
    CurrentFriend,
    Customer,
    CustomerFriendOrOperator,
    FriendCaller,
    Rt,
    actor,
)
from api.http.problems import InvalidField
from api.http.routing import AuthFirstRoute, CompiledRoute
from api.openapi.document import PICTURE, problems
from api.schemas import files as file_schemas
from api.schemas import presenters
from data.enums import FileKind
from data.records.ids import BookingId, FileId, PersonId
from dispatch.flows.group_commit import Overloaded
from dispatch.flows.people import files
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.files import TooManyFiles
from dispatch.rules.trust.pictures import PictureRefused

router = APIRouter(prefix="/v1", tags=["friends"], route_class=CompiledRoute)
uploads = APIRouter(prefix="/v1", tags=["friends"], route_class=AuthFirstRoute)

T = TypeVar("T")
# A picture is shown by our pages alone, and as nothing but a picture.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
}
CACHING: Final = {FileKind.EVIDENCE: "no-store"}
REFUSALS = problems(NotFound, InvalidField, TooManyFiles, Overloaded)


@uploads.post(
    "/me/files", status_code=201, summary="Upload my photo or evidence", responses=REFUSALS
)
async def upload_my_file(
    rt: Rt, caller: CurrentFriend, body: file_schemas.UploadRequest
) -> file_schemas.FileResponse:
    """Keep a photo, instead of the one before, or evidence of who you are, which an operator
    looks at and which is deleted then.
    """
    person = PersonId(caller.friend_id)
    return presenters.present_file(
        await _checked(files.upload(rt, person, body.kind, body.name, body.content))
    )


@router.get("/me/files", summary="List my photo and evidence")
async def list_my_files(rt: Rt, caller: CurrentFriend) -> file_schemas.FilesResponse:
    """The photo, the evidence that nobody has looked at, and what an operator saw."""
    items, identity = await files.own(rt, PersonId(caller.friend_id))
    return presenters.present_files(items, identity)


@uploads.post(
    "/bookings/{booking_id}/files",
    status_code=201,
    summary="Upload a picture of the job",
    responses=REFUSALS,
)
async def upload_picture(
    rt: Rt, caller: CurrentFriend, booking_id: UUID, body: file_schemas.ResultRequest
) -> file_schemas.FileResponse:
    """Keep a picture of the result, which the customer sees too."""
    kept = files.upload_result(rt, caller.friend_id, BookingId(booking_id), body.name, body.content)
    return presenters.present_file(await _checked(kept))


@router.get(
    "/bookings/{booking_id}/files",
    summary="List the pictures of a job",
    responses=problems(NotFound),
)
async def list_pictures(
    rt: Rt, caller: CustomerFriendOrOperator, booking_id: UUID
) -> file_schemas.PicturesResponse:
    """The pictures of the result, for the customer, the friend and the desk."""
    if isinstance(caller, FriendCaller):
        found = await files.results(rt, caller.friend_id, BookingId(booking_id))
    else:
        view = await visible_booking(rt, caller, BookingId(booking_id))
        found = await files.pictures(rt, view.id)
    return file_schemas.PicturesResponse(items=list(map(presenters.present_file, found)))


@router.get(
    "/files/{file_id}",
    summary="Get a picture",
    response_class=Response,
    responses={200: PICTURE, **problems(NotFound)},
)
async def open_file(rt: Rt, caller: CustomerFriendOrOperator, file_id: UUID) -> Response:
    """The picture, for those who may see it; a look of an operator is logged."""
    wanted = FileId(file_id)
    match caller:
        case FriendCaller():
            file, content = await files.open_for_friend(rt, caller.friend_id, wanted)
        case Customer():
            file, content = await files.open_for_customer(rt, caller.booking_id, wanted)
        case _:
            file, content = await files.open_for_operator(
                rt, caller.role, wanted, actor=actor(caller)
            )
    headers = HEADERS | {
        "Cache-Control": CACHING.get(file.kind, "private, max-age=300"),
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(file.name)}",
    }
    return Response(content, media_type="image/jpeg", headers=headers)


@router.delete(
    "/files/{file_id}", status_code=204, summary="Remove my picture", responses=problems(NotFound)
)
async def remove_file(rt: Rt, caller: CurrentFriend, file_id: UUID) -> None:
    """Delete a picture of your own; nothing of it is kept."""
    await files.remove(rt, PersonId(caller.friend_id), FileId(file_id))


async def _checked(upload: Awaitable[T]) -> T:
    try:
        return await upload
    except PictureRefused as refused:
        raise InvalidField("content", refused.problem, refused.cure) from None
