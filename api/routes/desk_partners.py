"""Partners and their keys, as the desk keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Strict

from api.auth import AnOperator, Rt, actor
from api.direct import Direct
from api.fields import Name
from api.openapi import problems
from api.schemas import Asked, Said, example
from data.records import PartnerId
from data.store.partners import Partner
from dispatch.flows import partners
from dispatch.flows.partners import SHOWN, NameTaken
from dispatch.rules.refused import NotFound

router = APIRouter(prefix="/v1/desk/partners", tags=["desk"], route_class=Direct)


class KeySaid(Said):
    """A key by its beginning; all of it is told only when it is made."""

    prefix: str
    created_at: datetime
    revoked_at: datetime | None


class PartnerSaid(Said):
    """A retailer who books for his customers."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime
    keys: list[KeySaid]


class Partners(Said):
    """All partners by name."""

    items: list[PartnerSaid]


class NewKey(Said):
    """A key, told only now; `prefix` is what is shown of it later."""

    key: str
    prefix: str


class PartnerMade(NewKey):
    """A new partner with his first key, which is told only now."""

    id: UUID
    name: str
    members_only: bool
    created_at: datetime


class PartnerAsked(Asked):
    """Who is to be a partner; `members_only` asks only the friends of his community."""

    model_config = example({"name": "Elektro Muster", "members_only": False})

    name: Name
    members_only: Annotated[bool, Strict()] = False


@router.get("", summary="All partners")
async def list_partners(rt: Rt, who: AnOperator) -> Partners:
    """Partners by name, with the beginnings of their keys."""
    return Partners(items=[_said(one) for one in await partners.list(rt)])


@router.post("", status_code=201, summary="Add a partner", responses=problems(NameTaken))
async def add_partner(rt: Rt, who: AnOperator, asked: PartnerAsked) -> PartnerMade:
    """Add a partner; his first key is in this answer and nowhere else."""
    partner, key = await partners.add(
        rt, asked.name, members_only=asked.members_only, actor=actor(who)
    )
    return PartnerMade(
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
async def add_partner_key(rt: Rt, who: AnOperator, partner_id: UUID) -> NewKey:
    """A further key beside those he has; it is in this answer and nowhere else."""
    key = await partners.add_key(rt, str(partner_id), actor=actor(who))
    return NewKey(key=key, prefix=key[:SHOWN])


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
    await partners.revoke_key(rt, prefix, partner_id=PartnerId(partner_id), actor=actor(who))


def _said(partner: Partner) -> PartnerSaid:
    keys = [
        KeySaid(prefix=key.prefix, created_at=key.created_at, revoked_at=key.revoked_at)
        for key in partner.keys
    ]
    return PartnerSaid(
        id=partner.id,
        name=partner.name,
        members_only=partner.members_only,
        created_at=partner.created_at,
        keys=keys,
    )
