"""The rights of a person: what is kept about somebody, and its erasure; for admins."""

from __future__ import annotations

from fastapi import APIRouter

from api.http.auth import CurrentAdmin, Rt, actor
from api.http.ports import CurrentPorts
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import requests
from dispatch.flows.people import rights
from dispatch.flows.people.rights import StillNeeded
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/people", tags=["desk"], route_class=CompiledRoute)


@router.post("/export", summary="Export a person's data", responses=problems(NotFound))
async def export_person(
    rt: Rt, caller: CurrentAdmin, body: requests.PersonRequest
) -> desk_schemas.PersonExportResponse:
    """Everything kept about a person, as that person may demand it. The access is logged."""
    found = await rights.export(rt, body.person, actor=actor(caller))
    return desk_schemas.PersonExportResponse(items=[dict(one) for one in found])


@router.post("/erase", summary="Erase a person's data", responses=problems(NotFound, StillNeeded))
async def erase_person(
    rt: Rt, ports: CurrentPorts, caller: CurrentAdmin, body: requests.PersonRequest
) -> desk_schemas.PersonErasedResponse:
    """Erase everything about a person but what the law keeps; it cannot be undone."""
    done = await rights.erase(rt, body.person, actor=actor(caller))
    mails = await ports.forget_mails(done.addresses, done.messages)
    return desk_schemas.PersonErasedResponse(
        erased=len(done.people), address_kept=len(done.kept), mails_deleted=mails
    )
