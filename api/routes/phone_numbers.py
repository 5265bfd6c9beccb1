"""One's own telephone number, confirmed by a code."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.http.auth import CurrentPerson, Rt, actor, person_of
from api.http.problems import InvalidField
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import people as people_schemas
from data.phones import PhoneInvalid
from data.store.phone_codes import PendingCode, PhoneState
from dispatch.flows.people import phone_numbers
from dispatch.rules.people.phone_codes import (
    AlreadyConfirmed,
    NoTextsSent,
    NumberNotMobile,
    PhoneCodeOver,
    PhoneCodeRefused,
    TooManyTexts,
)
from dispatch.rules.refusals import NotFound
from dispatch.runtime import Runtime

router = APIRouter(prefix="/v1/me/phone", tags=["friends"], route_class=CompiledRoute)


@router.get("", summary="Get my telephone number", responses=problems(NotFound))
async def show_my_number(rt: Rt, caller: CurrentPerson) -> people_schemas.NumberResponse:
    """The number, when it was confirmed, and the one that is being confirmed."""
    return _present(rt, await phone_numbers.read(rt, person_of(caller)))


@router.post(
    "",
    summary="Send a code to my telephone",
    responses=problems(
        NotFound, InvalidField, NoTextsSent, NumberNotMobile, AlreadyConfirmed, TooManyTexts
    ),
)
async def send_my_code(
    rt: Rt, caller: CurrentPerson, request: Request, body: people_schemas.NumberRequest
) -> people_schemas.NumberResponse:
    """Send a code by SMS; the number takes the place of the present one once it is confirmed.

    Earlier codes are no longer valid.
    """
    host = request.client and request.client.host
    try:
        state = await phone_numbers.send_code(rt, person_of(caller), body.number, host=host)
    except PhoneInvalid as wrong:
        raise InvalidField("number", wrong.problem, wrong.cure) from None
    return _present(rt, state)


@router.post(
    "/code",
    summary="Confirm my telephone number",
    responses=problems(NotFound, PhoneCodeRefused, PhoneCodeOver),
)
async def confirm_my_number(
    rt: Rt, caller: CurrentPerson, body: people_schemas.NumberCodeRequest
) -> people_schemas.NumberResponse:
    """Enter the code of the newest SMS."""
    state = await phone_numbers.confirm(rt, person_of(caller), body.code, actor=actor(caller))
    return _present(rt, state)


def _present(rt: Runtime, state: PhoneState) -> people_schemas.NumberResponse:
    return people_schemas.NumberResponse(
        number=state.number,
        confirmed_at=state.confirmed_at,
        pending=_present_pending(rt, state.pending) if state.pending else None,
    )


def _present_pending(rt: Runtime, pending: PendingCode) -> people_schemas.PendingNumber:
    return people_schemas.PendingNumber(
        number=pending.number,
        expires_at=pending.expires_at,
        tries_left=max(rt.policy.phone_code_tries - pending.tries, 0),
        delivery=pending.delivery,
    )
