"""Partners and their keys, as the desk keeps them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from api.http.auth import AnOperator, Rt, actor
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import desk as desk_schemas
from api.schemas import requests
from data.records.ids import PartnerId
from data.store.partners import Partner
from dispatch.flows.partners import accounts
from dispatch.flows.partners.accounts import SHOWN, NameTaken
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk/partners", tags=["desk"], route_class=Direct)


@router.get("", summary="All partners")
async def list_partners(rt: Rt, who: AnOperator) -> desk_schemas.PartnersResponse:
    """Partners by name, with the beginnings of their keys."""
    return desk_schemas.PartnersResponse(items=[_said(one) for one in await accounts.list(rt)])


@router.post("", status_code=201, summary="Add a partner", responses=problems(NameTaken))
async def add_partner(
    rt: Rt, who: AnOperator, asked: requests.PartnerRequest
) -> desk_schemas.PartnerCreatedResponse:
    """Add a partner; his first key is in this answer and nowhere else."""
    partner, key = await accounts.add(
        rt, asked.name, members_only=asked.members_only, actor=actor(who)
    )
    return desk_schemas.PartnerCreatedResponse(
        key=key,
        prefix=key[:SHOWN],
        id=partner.id,
        name=partner.name,
        members_only=partner.members_only,
        created_at=partner.created_at,
    )


@router.post(
    "/{partner_id}/keys", status_code=201, summary="Add a key", responses=problems(NotFound)
)
async def add_partner_key(
    rt: Rt, who: AnOperator, partner_id: UUID
) -> desk_schemas.KeyCreatedResponse:
    """A further key beside those he has; it is in this answer and nowhere else."""
    key = await accounts.add_key(rt, str(partner_id), actor=actor(who))
    return desk_schemas.KeyCreatedResponse(key=key, prefix=key[:SHOWN])


@router.delete(
    "/{partner_id}/keys/{prefix}",
    status_code=204,
    summary="Revoke a key",
    responses=problems(NotFound),
)
async def revoke_partner_key(
    rt: Rt,
    who: AnOperator,
    partner_id: UUID,
    prefix: Annotated[str, Path(pattern=r"^tk_(live|test)_[0-9A-Za-z_-]{4,8}$")],
) -> None:
    """From now on this key opens nothing."""
    await accounts.revoke_key(rt, prefix, partner_id=PartnerId(partner_id), actor=actor(who))


def _said(partner: Partner) -> desk_schemas.Partner:
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
