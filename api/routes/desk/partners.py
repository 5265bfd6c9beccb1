"""Partners and their API keys, for the desk."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from api.http.auth import CurrentAdmin, CurrentOperator, Rt, actor
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import requests
from data.records.ids import PartnerId
from data.store.partners import Partner
from dispatch.flows.partners import accounts
from dispatch.flows.partners.accounts import PREFIX_LENGTH, NameTaken
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/partners", tags=["desk"], route_class=CompiledRoute)


@router.get("", summary="List partners")
async def list_partners(rt: Rt, caller: CurrentOperator) -> desk_schemas.PartnersResponse:
    """All partners sorted by name, with the prefixes of their keys."""
    return desk_schemas.PartnersResponse(
        items=[_present_partner(one) for one in await accounts.list_partners(rt)]
    )


@router.post("", status_code=201, summary="Add a partner", responses=problems(NameTaken))
async def add_partner(
    rt: Rt, caller: CurrentAdmin, body: requests.PartnerRequest
) -> desk_schemas.PartnerCreatedResponse:
    """Add a partner; the first key is in this response and nowhere else."""
    partner, key = await accounts.add(
        rt, body.name, members_only=body.members_only, actor=actor(caller)
    )
    return desk_schemas.PartnerCreatedResponse(
        key=key,
        prefix=key[:PREFIX_LENGTH],
        id=partner.id,
        name=partner.name,
        members_only=partner.members_only,
        created_at=partner.created_at,
    )


@router.post(
    "/{partner_id}/keys", status_code=201, summary="Add a key", responses=problems(NotFound)
)
async def add_partner_key(
    rt: Rt, caller: CurrentAdmin, partner_id: UUID
) -> desk_schemas.KeyCreatedResponse:
    """Add a further key for a partner; it is in this response and nowhere else."""
    key = await accounts.add_key(rt, str(partner_id), actor=actor(caller))
    return desk_schemas.KeyCreatedResponse(key=key, prefix=key[:PREFIX_LENGTH])


@router.delete(
    "/{partner_id}/keys/{prefix}",
    status_code=204,
    summary="Revoke a key",
    responses=problems(NotFound),
)
async def revoke_partner_key(
    rt: Rt,
    caller: CurrentAdmin,
    partner_id: UUID,
    prefix: Annotated[str, Path(pattern=r"^tk_(live|test)_[0-9A-Za-z_-]{4,8}$")],
) -> None:
    """Revoke a key with immediate effect."""
    await accounts.revoke_key(rt, prefix, partner_id=PartnerId(partner_id), actor=actor(caller))


def _present_partner(partner: Partner) -> desk_schemas.Partner:
    keys = [
        desk_schemas.PartnerKey(
            prefix=key.prefix, created_at=key.created_at, revoked_at=key.revoked_at
        )
        for key in partner.keys
    ]
    return desk_schemas.Partner(
        id=partner.id,
        name=partner.name,
        members_only=partner.members_only,
        created_at=partner.created_at,
        keys=keys,
    )
