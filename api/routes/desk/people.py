"""The rights of a person: what is kept about somebody, and its erasure; for admins."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.auth import CurrentAdmin, CurrentCommunity, CurrentOperator, Rt, actor
from api.http.ports import CurrentPorts
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import files as file_schemas
from api.schemas import presenters, requests
from data.records.ids import PersonId
from dispatch.flows.people import files, rights
from dispatch.flows.people.rights import StillNeeded
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.files import EvidenceOver

router = APIRouter(prefix="/v1/desk/people", tags=["desk"], route_class=CompiledRoute)


@router.post("/export", summary="Export a person's data", responses=problems(NotFound))
async def export_person(
    rt: Rt, caller: CurrentAdmin, body: requests.PersonRequest
) -> desk_schemas.PersonExportResponse:
    """Everything kept about a person, as that person may demand it. The access is logged."""
    found = await rights.export(rt, body.person, actor=actor(caller))
    return desk_schemas.PersonExportResponse(items=[dict(one) for one in found])


@router.get("/{person_id}/files", summary="List a person's pictures", responses=problems(NotFound))
async def list_files_of_person(
    rt: Rt, caller: CurrentOperator, person_id: UUID
) -> file_schemas.FilesResponse:
    """The photo, the evidence to look at, and what was seen before. The access is logged."""
    items, identity = await files.of_person(rt, PersonId(person_id), actor=actor(caller))
    return presenters.present_files(items, identity)


@router.post(
    "/{person_id}/identity",
    status_code=204,
    summary="Confirm who a person is",
    responses=problems(NotFound, EvidenceOver),
)
async def confirm_identity(
    rt: Rt, caller: CurrentCommunity, person_id: UUID, body: file_schemas.IdentityRequest
) -> None:
    """Note which document you have seen and until when it is valid; the evidence is deleted."""
    await files.confirm_identity(
        rt, PersonId(person_id), body.document, body.valid_until, operator=caller.person_id
    )


@router.post("/erase", summary="Erase a person's data", responses=problems(NotFound, StillNeeded))
async def erase_person(
    rt: Rt, ports: CurrentPorts, caller: CurrentAdmin, body: requests.PersonRequest
) -> desk_schemas.PersonErasedResponse:
    """Erase everything about a person but what the law keeps; it cannot be undone."""
    done = await rights.erase(rt, body.person, actor=actor(caller))
    mails = await ports.forget_mails(done.addresses, [*done.messages, *done.errands])
    return desk_schemas.PersonErasedResponse(
        erased=len(done.people), address_kept=len(done.kept), mails_deleted=mails
    )
