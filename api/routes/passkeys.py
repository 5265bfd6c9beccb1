"""Passkeys: an operator's own at the desk, and signing in with one; customers have theirs too."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.auth import CurrentOperator, Rt, actor
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import people as people_schemas
from dispatch.flows.people import passkeys
from dispatch.flows.people.passkeys import PasskeyRefused
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1", tags=["sessions"], route_class=CompiledRoute)


@router.post("/passkey-challenges", status_code=201, summary="Begin to sign in with a passkey")
async def create_passkey_challenge(rt: Rt) -> people_schemas.PasskeyOptionsResponse:
    """Options for `PublicKeyCredential.parseRequestOptionsFromJSON`, valid for five minutes."""
    return people_schemas.PasskeyOptionsResponse(options=dict(await passkeys.sign_in_options(rt)))


@router.get("/desk/passkeys", summary="List your passkeys")
async def list_my_passkeys(rt: Rt, caller: CurrentOperator) -> people_schemas.PasskeysResponse:
    """The passkeys of the operator who asks, the oldest first."""
    found = await passkeys.own_passkeys(rt, caller.person_id)
    return people_schemas.PasskeysResponse(
        items=[people_schemas.PasskeyResponse.model_validate(one) for one in found]
    )


@router.post(
    "/desk/passkeys/challenge",
    status_code=201,
    summary="Begin to add a passkey",
    responses=problems(NotFound),
)
async def create_my_passkey_challenge(
    rt: Rt, caller: CurrentOperator
) -> people_schemas.PasskeyOptionsResponse:
    """Options for `PublicKeyCredential.parseCreationOptionsFromJSON`, valid for five minutes."""
    options = await passkeys.creation_options(rt, caller.person_id)
    return people_schemas.PasskeyOptionsResponse(options=dict(options))


@router.post(
    "/desk/passkeys", status_code=201, summary="Add a passkey", responses=problems(PasskeyRefused)
)
async def add_my_passkey(
    rt: Rt, caller: CurrentOperator, body: people_schemas.PasskeyRequest
) -> people_schemas.PasskeyResponse:
    """Add a passkey that a browser made with our options."""
    made = await passkeys.add(rt, caller.person_id, body.credential, body.name, actor=actor(caller))
    return people_schemas.PasskeyResponse.model_validate(made)


@router.delete(
    "/desk/passkeys/{passkey_id}",
    status_code=204,
    summary="Remove a passkey",
    responses=problems(NotFound),
)
async def remove_my_passkey(rt: Rt, caller: CurrentOperator, passkey_id: UUID) -> None:
    """Remove one of your passkeys; sessions begun with it go on."""
    await passkeys.remove(rt, caller.person_id, passkey_id, actor=actor(caller))
