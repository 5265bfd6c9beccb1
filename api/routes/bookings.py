"""Bookings, for customers, partners and the desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from api.http import pagination, proof_of_work
from api.http.access import check_owner, visible_booking
from api.http.auth import (
    AccountCaller,
    BookingCanceller,
    BookingOwner,
    BookingViewer,
    Caller,
    CurrentCaller,
    CurrentCustomer,
    Customer,
    CustomerOrDispatcher,
    Operator,
    Partner,
    PartnerOrOperator,
    Rt,
    Secret,
    actor,
    as_customer,
    ownership_test,
)
from api.http.idempotency import REPLAYED, Key, claim, principal
from api.http.pagination import Cursor, Limit
from api.http.problems import InvalidField
from api.http.proof_of_work import ProofOfWork
from api.http.routing import CompiledRoute
from api.openapi.document import REPLAY, allows_anonymous, problems
from api.schemas import base, presenters, requests, responses
from data.enums import BookingState
from data.records.ids import BookingId, customer_key
from data.replace import replace
from data.store import read_models
from dispatch.flows import desk
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.execute import CommandResult, KeyReused, ReferenceTaken, StoredResponse
from dispatch.flows.jobs import commands, contacts
from dispatch.flows.jobs.orders import NoSuchFavourite, Order, QuoteExpired
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs import customer_links
from dispatch.rules.jobs.catalogue import UnknownPackage
from dispatch.rules.jobs.reasons import cancel_reason
from dispatch.rules.jobs.refusals import (
    AlreadyRated,
    ContactDeadlinePassed,
    ContestOver,
    FeeChanged,
    NotInThisState,
    ReviewOver,
    TooManyCodes,
    WrongCode,
)
from dispatch.rules.money.prices import NotSoldHere
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust import mailed_secrets, quotas
from dispatch.rules.trust.quotas import ProofRequired, TooManyBookings
from dispatch.runtime import Runtime
from geo.gazetteer.addresses import AddressRefused

router = APIRouter(prefix="/v1/bookings", tags=["bookings"], route_class=CompiledRoute)


@router.post(
    "",
    status_code=201,
    response_model=responses.BookingCreatedResponse,
    summary="Create a booking",
    openapi_extra=allows_anonymous(),
    responses={
        201: REPLAY,
        **problems(
            UnknownPackage,
            NotSoldHere,
            AddressRefused,
            QuoteExpired,
            NoSuchFavourite,
            ReferenceTaken,
            TooManyBookings,
            ProofRequired,
            KeyReused,
            NotFound,
        ),
    },
)
async def create_booking(
    *,
    rt: Rt,
    secret: Secret,
    caller: CurrentCaller,
    body: requests.BookingRequest,
    request: Request,
    response: Response,
    key: Key = None,
    proof: ProofOfWork = None,
) -> bytes:
    """Book a package; the nearest qualified friends get offers at once.

    Without a partner's key the booking may be `unconfirmed`: friends are asked once the customer
    has confirmed the mail address, or at once if the customer is signed in with it. Such bookings
    are limited by mail address, telephone number, network and place, and from the second on may
    need a proof of work. The earlier booking `ask_first` must be the caller's own: a customer is
    signed in or sends the token of its link.
    """
    order = _order(body, caller)
    if order.ask_first is not None:
        await _check_earlier(rt, caller, order.ask_first)
    if not isinstance(caller, Partner | Operator) and rt.settings.anonymous_bookings == "confirm":
        order = _unvouched(order, caller, secret, request, proof)

    def build_response(done: CommandResult) -> Mapping[str, Any]:
        created = presenters.present_created_booking(done)
        return created.model_dump(mode="json", exclude={"customer_link"})

    try:
        result = await commands.book(
            rt,
            order,
            actor=actor(caller) if isinstance(caller, Partner | Operator) else "customer",
            claim=claim(key, principal(caller), "POST /v1/bookings", body),
            build_response=build_response,
        )
    except ProofRequired:
        raise ProofRequired(proof_of_work.challenge(secret)) from None
    assert result.response is not None
    booking_id = BookingId(UUID(result.response["id"]))
    response.headers["Location"] = f"/v1/bookings/{booking_id}"
    replayed = isinstance(result, StoredResponse)
    if replayed:
        response.headers[REPLAYED] = "true"
    link = None
    token = customer_links.customer_token(secret, booking_id)
    if not isinstance(caller, Partner) and (
        not replayed or await _is_token_valid(rt, secret, booking_id, token)
    ):
        link = f"{rt.settings.base_url}/job/{token}"
    # A replay from the database comes in another order: sort the fields by declaration.
    ordered = dict.fromkeys(responses.BookingCreatedResponse.model_fields)
    return to_json({**ordered, **result.response, "customer_link": link})


@router.get("", summary="List bookings, newest first")
async def list_bookings(
    *,
    rt: Rt,
    caller: PartnerOrOperator,
    state: Annotated[BookingState | None, Query()] = None,
    partner_reference: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> base.Page[responses.BookingResponse]:
    """A partner's own bookings; all bookings for the desk."""
    if partner_reference is not None and "\0" in partner_reference:
        raise InvalidField(
            "partner_reference", "contains the control character U+0000", "remove it"
        )
    async with read_connection(rt) as tx:
        found = await read_models.bookings(
            tx,
            partner_id=caller.partner_id if isinstance(caller, Partner) else None,
            state=state,
            partner_reference=partner_reference,
            before=pagination.decode_time(cursor),
            limit=limit + 1,
        )
    page, by_desk = found[:limit], isinstance(caller, Operator)
    if by_desk:
        await desk.record_seen(rt, "bookings.listed", actor=actor(caller))
    more = pagination.encode_time(page[-1].created_at, page[-1].id) if len(found) > limit else None
    return base.Page(
        items=[presenters.present_booking(view, rt.policy, by_desk=by_desk) for view in page],
        next_cursor=more,
    )


@router.get("/{booking_id}", summary="Get a booking", responses=problems(NotFound))
async def get_booking(rt: Rt, caller: BookingViewer, booking_id: UUID) -> responses.BookingResponse:
    """One booking, for its customer, its partner, its friend and the desk."""
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/{booking_id}/cancel",
    summary="Cancel a booking",
    responses=problems(NotFound, NotInThisState, FeeChanged),
)
async def cancel_booking(
    rt: Rt, caller: BookingCanceller, booking_id: UUID, body: requests.CancelRequest
) -> responses.BookingResponse:
    """End a booking and notify all friends concerned at once. Idempotent.

    Late cancellation costs a fee, stated before as `cancellation` and after as `cancel_fee`; for
    the desk it is free. A fee higher than `fee_minor_max` (default 0) is refused.
    """
    # Before the lock: another caller's booking costs the same as none, and blocks nobody.
    await check_owner(rt, caller, BookingId(booking_id))
    await commands.cancel(
        rt,
        BookingId(booking_id),
        actor=actor(caller),
        reason=cancel_reason(body.reason),
        may_act=ownership_test(caller),
        fee_minor_max=body.fee_minor_max,
    )
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy, with_customer=False)


@router.post(
    "/{booking_id}/confirm",
    summary="Confirm a booking",
    responses=problems(NotFound, NotInThisState, WrongCode, TooManyCodes, TooManyBookings),
)
async def confirm_booking(
    *,
    rt: Rt,
    secret: Secret,
    caller: CurrentCustomer,
    booking_id: UUID,
    body: requests.ConfirmRequest,
) -> responses.BookingResponse:
    """Confirm the mail address with the code of the letter; friends are asked then. Idempotent."""
    if caller.booking_id != booking_id:
        raise NotFound
    given = mailed_secrets.of_booking(secret, caller.booking_id).proof(body.code)
    await commands.confirm(rt, caller.booking_id, given)
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/{booking_id}/not-called",
    summary="Report a missing call",
    responses=problems(NotFound, NotInThisState),
)
async def report_no_contact(
    rt: Rt, caller: CurrentCustomer, booking_id: UUID
) -> responses.BookingResponse:
    """Without an appointment: remind the friend, or contest the contact that they claim.

    A contest pauses the job: without the friend's answer in time it is offered to others. The desk
    sees it. Idempotent.
    """
    if caller.booking_id != booking_id:
        raise NotFound
    await commands.report_no_call(rt, caller.booking_id)
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/{booking_id}/called",
    summary="Confirm the contact",
    responses=problems(NotFound, NotInThisState, ContactDeadlinePassed),
)
async def confirm_contact(
    rt: Rt, caller: CurrentCustomer, booking_id: UUID
) -> responses.BookingResponse:
    """Say that the friend has been in touch; it settles a report that nobody called. Idempotent."""
    if caller.booking_id != booking_id:
        raise NotFound
    await contacts.confirm_reached(rt, caller.booking_id)
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/{booking_id}/move",
    summary="Request another time",
    responses=problems(NotFound, NotInThisState),
)
async def ask_move(
    rt: Rt, caller: CurrentCustomer, booking_id: UUID, body: requests.MoveRequest
) -> responses.BookingResponse:
    """Ask the friend for another time than the agreed one; the answer is a new appointment."""
    if caller.booking_id != booking_id:
        raise NotFound
    await commands.request_move(rt, caller.booking_id, wishes=tuple(body.wishes), note=body.note)
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.post(
    "/{booking_id}/renew-link",
    summary="Renew the customer's link",
    responses=problems(NotFound, NotInThisState),
)
async def renew_link(
    rt: Rt, caller: CustomerOrDispatcher, booking_id: UUID
) -> responses.BookingResponse:
    """Make every link of the customer invalid, the one used here too, and mail a new one."""
    await check_owner(rt, caller, BookingId(booking_id))
    await commands.renew_link(
        rt, BookingId(booking_id), actor=actor(caller), may_act=ownership_test(caller)
    )
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy, with_customer=False)


@router.post(
    "/{booking_id}/contest",
    summary="Contest the completion",
    responses=problems(NotFound, NotInThisState, ContestOver),
)
async def contest_completion(
    rt: Rt, caller: CurrentCustomer, booking_id: UUID, body: requests.ContestRequest
) -> responses.BookingResponse:
    """Report that a completed job is not done; the desk looks into it. Idempotent while it does.

    Once, until `contestable_until` of the booking.
    """
    if caller.booking_id != booking_id:
        raise NotFound
    await commands.contest(rt, caller.booking_id, body.reason)
    view = await visible_booking(rt, caller, BookingId(booking_id))
    return presenters.present_booking_to(caller, view, rt.policy)


@router.get("/{booking_id}/events", summary="List a booking's events", responses=problems(NotFound))
async def list_events(
    rt: Rt,
    caller: BookingOwner,
    booking_id: UUID,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Only events after this.")] = 0,
    limit: Limit = pagination.PAGE_DEFAULT,
) -> base.Page[responses.Event]:
    """The events of a booking, numbered from 1 without gaps; `next_cursor` is the next `after`."""
    await check_owner(rt, caller, BookingId(booking_id))
    async with read_connection(rt) as tx:
        found = await read_models.events(tx, BookingId(booking_id), after=after, limit=limit + 1)
    items = [
        presenters.present_event(view, whole=isinstance(caller, Operator)) for view in found[:limit]
    ]
    more = str(items[-1].seq) if len(found) > limit else None
    return base.Page(items=items, next_cursor=more)


@router.post(
    "/{booking_id}/rating",
    status_code=201,
    summary="Rate a booking",
    responses={
        201: REPLAY,
        **problems(NotFound, NotInThisState, AlreadyRated, ReviewOver, KeyReused),
    },
)
async def rate_booking(
    *,
    rt: Rt,
    caller: CurrentCustomer,
    booking_id: UUID,
    body: requests.RatingRequest,
    response: Response,
    key: Key = None,
) -> responses.RatingResponse:
    """Rate with one to five stars, once, with the customer's link."""
    if caller.booking_id != booking_id:
        raise NotFound

    def build_response(done: CommandResult) -> Mapping[str, Any]:
        rating = responses.RatingResponse(
            booking_id=booking_id, stars=body.stars, comment=body.comment, rated_at=done.now
        )
        return rating.model_dump(mode="json", exclude={"comment"})

    result = await commands.rate(
        rt,
        BookingId(booking_id),
        stars=body.stars,
        comment=body.comment,
        claim=claim(key, f"customer:{booking_id}", "POST rating", body),
        build_response=build_response,
    )
    if isinstance(result, StoredResponse):
        response.headers[REPLAYED] = "true"
    assert result.response is not None
    return responses.RatingResponse.model_validate({**result.response, "comment": body.comment})


async def _check_earlier(rt: Runtime, caller: Caller, booking_id: BookingId) -> None:
    if isinstance(caller, AccountCaller):
        caller = await as_customer(rt, caller, booking_id)
    if not isinstance(caller, Customer | Partner | Operator):
        raise NotFound
    await check_owner(rt, caller, booking_id)


async def _is_token_valid(rt: Runtime, secret: bytes, booking_id: BookingId, token: str) -> bool:
    """Whether the customer has not renewed the link since the first answer."""
    generation, _ = await lookups(rt).customer_links.get(booking_id) or (0, None)
    return customer_links.is_customer_token_valid(secret, booking_id, token, generation)


def _order(body: requests.BookingRequest, caller: Caller) -> Order:
    if body.partner_reference is not None and not isinstance(caller, Partner):
        raise InvalidField(
            "partner_reference", "is only for partners", "send your partner key, or leave it out"
        )
    address, point = body.address.to_geocode()
    customer = body.customer
    return Order(
        package=body.package,
        address=address,
        point=point,
        name=customer.name,
        email=customer.email,
        phone=customer.phone,
        language=customer.language,
        notes=body.notes or None,
        wishes=tuple(body.wishes),
        quote_id=body.quote_id,
        ask_first=BookingId(body.ask_first) if body.ask_first else None,
        partner_id=caller.partner_id if isinstance(caller, Partner) else None,
        partner_reference=body.partner_reference,
        members_only=isinstance(caller, Partner) and caller.members_only,
    )


def _unvouched(
    order: Order, caller: Caller, secret: bytes, request: Request, proof: str | None
) -> Order:
    host = request.client.host if request.client else None
    key = caller.customer_key if isinstance(caller, AccountCaller) else None
    return replace(
        order,
        vouched=False,
        confirmed=customer_key(order.email) == key,
        quotas=quotas.keys(secret, email=order.email, phone=order.phone, host=host),
        proof=proof_of_work.verify(secret, proof),
    )
