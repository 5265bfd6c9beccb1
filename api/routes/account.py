"""The account of a customer: all bookings of one person, details, passkeys and rights."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.http import pagination
from api.http.auth import (
    CurrentAccount,
    CurrentCustomer,
    Rt,
    Secret,
    actor,
)
from api.http.pagination import Cursor, Limit
from api.http.ports import CurrentPorts
from api.http.routing import CompiledRoute
from api.http.session_cookies import forget_session_cookie
from api.openapi.document import problems
from api.schemas import account as schemas
from api.schemas import base, presenters
from api.schemas import people as people_schemas
from data.records.ids import BookingId
from data.replace import replace
from data.store import read_models
from data.store.sessions import Login
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.people import customers, passkeys, rights, sessions
from dispatch.flows.people.passkeys import PasskeyRefused
from dispatch.flows.people.rights import StillNeeded
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs.customer_links import customer_token
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.people.names import first_name
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/account", tags=["account"], route_class=CompiledRoute)
favourites = APIRouter(
    prefix="/v1/bookings/{booking_id}/favourite", tags=["account"], route_class=CompiledRoute
)


@router.get("", summary="Get my account")
async def show_my_account(rt: Rt, caller: CurrentAccount) -> schemas.AccountResponse:
    """The details and favourites of the customer who is signed in."""
    kept = await customers.details(rt, caller.account_id)
    address = None
    if kept.street and kept.postcode and kept.city and kept.country:
        address = schemas.AccountAddressResponse.model_validate(kept)
    return schemas.AccountResponse(
        name=kept.name,
        email=kept.email,
        phone=kept.phone,
        language=kept.language,
        address=address,
        favourites=[
            schemas.Favourite(
                first_name=first_name(one.name),
                booking_id=one.booking_id,
                ended_at=one.ended_at,
                jobs=one.jobs,
            )
            for one in await customers.favourites(rt, caller.customer_key)
        ],
        confirmed_at=kept.confirmed_at,
    )


@router.put("", summary="Change my account")
async def change_my_account(
    rt: Rt, caller: CurrentAccount, body: schemas.AccountRequest
) -> schemas.AccountResponse:
    """Replace the details that the next booking begins with; bookings made before keep theirs."""
    kept = await customers.details(rt, caller.account_id)
    where = body.address
    wanted = replace(
        kept,
        name=body.name,
        phone=body.phone,
        language=body.language,
        street=where and where.street,
        postcode=where and where.postcode,
        city=where and where.city,
        country=where and str(where.country),
    )
    await customers.change(rt, caller.account_id, wanted)
    return await show_my_account(rt, caller)


@router.get("/bookings", summary="List my bookings, newest first")
async def list_my_bookings(
    *,
    rt: Rt,
    secret: Secret,
    caller: CurrentAccount,
    ended: Annotated[
        bool | None, Query(description="Only completed and cancelled ones, or only the others.")
    ] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> base.Page[schemas.OwnBooking]:
    """All bookings with the confirmed mail address, by whatever partner they were made."""
    key = caller.customer_key
    async with read_connection(rt) as tx:
        found = await read_models.bookings_of_customer(
            tx, key, ended=ended, before=pagination.decode_time(cursor), limit=limit + 1
        )
    page = found[:limit]
    more = pagination.encode_time(page[-1].created_at, page[-1].id) if len(found) > limit else None
    links = [await _link(rt, secret, view.id) for view in page]
    return base.Page(
        items=[
            schemas.OwnBooking(
                **dict(presenters.present_booking(view, rt.policy, own=True)), customer_link=link
            )
            for view, link in zip(page, links, strict=True)
        ],
        next_cursor=more,
    )


async def _link(rt: Runtime, secret: bytes, booking_id: BookingId) -> str:
    generation, _ = await lookups(rt).customer_links.get(booking_id) or (0, None)
    return f"{rt.settings.base_url}/job/{customer_token(secret, booking_id, generation)}"


@router.delete("/sessions", status_code=204, summary="Sign out everywhere")
async def end_my_sessions(rt: Rt, caller: CurrentAccount, response: Response) -> None:
    """End all sessions of the account, this one too, and make unused links invalid."""
    await sessions.revoke_sessions(rt, caller.account_id, actor=actor(caller))
    forget_session_cookie(rt, response, Login.ACCOUNT)


@router.get("/export", summary="Export my data")
async def export_my_data(rt: Rt, caller: CurrentAccount) -> schemas.AccountExportResponse:
    """Everything kept about the customer, over all bookings of the account."""
    found = await rights.export_account(rt, caller.account_id, actor=actor(caller))
    return schemas.AccountExportResponse(items=[dict(one) for one in found])


@router.post("/erase", summary="Erase my data", responses=problems(StillNeeded))
async def erase_my_data(
    rt: Rt, ports: CurrentPorts, caller: CurrentAccount, response: Response
) -> schemas.AccountErasedResponse:
    """Erase the account and the customer's data in all its bookings; it cannot be undone.

    Refused while one of them has not ended.
    """
    done = await rights.erase_account(rt, caller.account_id, actor=actor(caller))
    await ports.forget_mails(done.addresses, [*done.messages, *done.errands])
    forget_session_cookie(rt, response, Login.ACCOUNT)
    return schemas.AccountErasedResponse(bookings=len(done.people) - 1)


@router.get("/passkeys", summary="List the passkeys of my account")
async def list_account_passkeys(rt: Rt, caller: CurrentAccount) -> people_schemas.PasskeysResponse:
    """The passkeys of the customer who asks, the oldest first."""
    found = await passkeys.own_passkeys(rt, caller.account_id)
    return people_schemas.PasskeysResponse(
        items=[people_schemas.PasskeyResponse.model_validate(one) for one in found]
    )


@router.post("/passkeys/challenge", status_code=201, summary="Begin to add a passkey to my account")
async def create_account_passkey_challenge(
    rt: Rt, caller: CurrentAccount
) -> people_schemas.PasskeyOptionsResponse:
    """Options for `PublicKeyCredential.parseCreationOptionsFromJSON`, valid for five minutes."""
    options = await passkeys.creation_options(rt, caller.account_id)
    return people_schemas.PasskeyOptionsResponse(options=dict(options))


@router.post(
    "/passkeys",
    status_code=201,
    summary="Add a passkey to my account",
    responses=problems(PasskeyRefused),
)
async def add_account_passkey(
    rt: Rt, caller: CurrentAccount, body: people_schemas.PasskeyRequest
) -> people_schemas.PasskeyResponse:
    """Add a passkey that a browser made with our options."""
    made = await passkeys.add(
        rt, caller.account_id, body.credential, body.name, actor=actor(caller)
    )
    return people_schemas.PasskeyResponse.model_validate(made)


@router.delete(
    "/passkeys/{passkey_id}",
    status_code=204,
    summary="Remove a passkey from my account",
    responses=problems(NotFound),
)
async def remove_account_passkey(rt: Rt, caller: CurrentAccount, passkey_id: UUID) -> None:
    """Remove one of your passkeys; sessions begun with it go on."""
    await passkeys.remove(rt, caller.account_id, passkey_id, actor=actor(caller))


@favourites.put("", summary="Keep the friend as a favourite", responses=problems(NotInThisState))
async def add_favourite(
    rt: Rt, caller: CurrentCustomer, booking_id: UUID
) -> schemas.FavouriteResponse:
    """Keep the friend who has completed this booking, to be asked first again. Idempotent."""
    if caller.booking_id != booking_id:
        raise NotFound
    await customers.add_favourite(rt, caller.booking_id)
    return schemas.FavouriteResponse(favourite=True)


@favourites.delete(
    "", summary="Remove the friend from the favourites", responses=problems(NotFound)
)
async def remove_favourite(
    rt: Rt, caller: CurrentCustomer, booking_id: UUID
) -> schemas.FavouriteResponse:
    """Remove the friend of this booking from the favourites. Idempotent."""
    if caller.booking_id != booking_id:
        raise NotFound
    await customers.remove_favourite(rt, caller.booking_id)
    return schemas.FavouriteResponse(favourite=False)
