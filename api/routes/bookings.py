"""Bookings, as the customer, the partner and the desk know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic_core import to_json

from api.http import pagination
from api.http.access import check_owner, visible_booking
from api.http.auth import (
    ACustomer,
    Anybody,
    Caller,
    Insider,
    Lister,
    Operator,
    Partner,
    Party,
    Rt,
    Secret,
    actor,
    owns,
)
from api.http.idempotency import REPLAYED, Key, claim, principal
from api.http.pagination import Cursor, Limit
from api.http.problems import InvalidField
from api.http.routing import Direct
from api.openapi.document import REPLAY, may_be_anonymous, problems
from api.schemas import presenters, requests, responses
from data.enums import BookingState
from data.records.ids import BookingId
from data.store import read_models
from dispatch.flows import desk
from dispatch.flows.execute import Done, KeyReused, ReferenceTaken, Repeated
from dispatch.flows.jobs import commands
from dispatch.flows.jobs.orders import Order, QuoteExpired
from dispatch.flows.read_only import reading
from dispatch.rules.jobs import customer_links
from dispatch.rules.jobs.catalogue import UnknownPackage
from dispatch.rules.jobs.reasons import cancel_reason
from dispatch.rules.jobs.refusals import AlreadyRated, FeeChanged, NotInThisState
from dispatch.rules.money.prices import NotSoldHere
from dispatch.rules.refusals import NotFound
from geo.gazetteer.addresses import AddressRefused

router = APIRouter(prefix="/v1/bookings", tags=["bookings"], route_class=Direct)


@router.post(
    "",
    status_code=201,
    response_model=responses.BookingCreatedResponse,
    summary="Book",
    openapi_extra=may_be_anonymous(),
    responses={
        201: REPLAY,
        **problems(
            UnknownPackage,
            NotSoldHere,
            AddressRefused,
            QuoteExpired,
            ReferenceTaken,
            KeyReused,
            NotFound,
        ),
    },
)
async def create_booking(
    *,
    rt: Rt,
    secret: Secret,
    who: Anybody,
    asked: requests.BookingRequest,
    response: Response,
    key: Key = None,
) -> bytes:
    """Book a package: the four nearest friends who qualify are asked at once."""
    order = _order(asked, who)

    def said(done: Done) -> Mapping[str, Any]:
        made = presenters.booking_made(done, link="")
        return made.model_dump(mode="json", exclude={"customer_link"})

    result = await commands.book(
        rt,
        order,
        actor=actor(who) if isinstance(who, Partner | Operator) else "customer",
        claim=claim(key, principal(who), "POST /v1/bookings", asked),
        said=said,
    )
    if isinstance(result, Repeated):
        response.headers[REPLAYED] = "true"
    assert result.said is not None
    booking_id = BookingId(UUID(result.said["id"]))
    response.headers["Location"] = f"/v1/bookings/{booking_id}"
    link = f"{rt.settings.base_url}/job/{customer_links.customer_token(secret, booking_id)}"
    # Said again from the database it comes in another order: the fields go by their declaration.
    ordered = dict.fromkeys(responses.BookingCreatedResponse.model_fields)
    return to_json({**ordered, **result.said, "customer_link": link})


@router.get("", summary="Bookings, the newest first")
async def list_bookings(
    *,
    rt: Rt,
    who: Lister,
    state: Annotated[BookingState | None, Query()] = None,
    partner_reference: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> responses.Page[responses.BookingResponse]:
    """A partner's own bookings; for the desk, all."""
    if partner_reference is not None and "\0" in partner_reference:
        raise InvalidField("partner_reference", "holds the control character U+0000", "remove it")
    async with reading(rt) as tx:
        found = await read_models.bookings(
            tx,
            partner_id=who.partner_id if isinstance(who, Partner) else None,
            state=state,
            partner_reference=partner_reference,
            before=pagination.to_moment(cursor),
            limit=limit + 1,
        )
    page, by_desk = found[:limit], isinstance(who, Operator)
    more = pagination.of_moment(page[-1].created_at, page[-1].id) if len(found) > limit else None
    return responses.Page(
        items=[presenters.booking(view, rt.policy, by_desk=by_desk) for view in page],
        next_cursor=more,
    )


@router.get("/{booking_id}", summary="One booking", responses=problems(NotFound))
async def get_booking(rt: Rt, who: Party, booking_id: UUID) -> responses.BookingResponse:
    """A booking, for its customer, its partner, its friend and the desk."""
    view = await visible_booking(rt, who, BookingId(booking_id))
    if isinstance(who, Operator):
        await desk.opened(rt, BookingId(booking_id), actor=actor(who))
    return presenters.booking_for(who, view, rt.policy)


@router.post(
    "/{booking_id}/cancel",
    summary="Cancel",
    responses=problems(NotFound, NotInThisState, FeeChanged),
)
async def cancel_booking(
    rt: Rt, who: Insider, booking_id: UUID, asked: requests.CancelRequest
) -> responses.BookingResponse:
    """End a booking: whoever was asked or awarded is told at once. Repeating it changes nothing.

    Late it costs a fee, told before as `cancellation` and after as `cancel_fee`; the desk's cancel
    is free. It is refused when the fee is higher than `fee_minor_max`; without that, by any fee.
    """
    # Before the lock: it costs the same for another's as for none, and holds up nobody.
    await check_owner(rt, who, BookingId(booking_id))
    await commands.cancel(
        rt,
        BookingId(booking_id),
        actor=actor(who),
        reason=cancel_reason(asked.reason),
        mine=owns(who),
        fee_minor_max=asked.fee_minor_max,
    )
    view = await visible_booking(rt, who, BookingId(booking_id))
    return presenters.booking_for(who, view, rt.policy, with_customer=False)


@router.post(
    "/{booking_id}/not-called",
    summary="Nobody has called me",
    responses=problems(NotFound, NotInThisState),
)
async def report_no_contact(rt: Rt, who: ACustomer, booking_id: UUID) -> responses.BookingResponse:
    """While no appointment is agreed: reminds the friend, or calls the desk if he claims contact.

    Repeating it changes nothing.
    """
    if who.booking_id != booking_id:
        raise NotFound
    await commands.not_called(rt, who.booking_id)
    view = await visible_booking(rt, who, BookingId(booking_id))
    return presenters.booking_for(who, view, rt.policy)


@router.post(
    "/{booking_id}/move",
    summary="I need another time",
    responses=problems(NotFound, NotInThisState),
)
async def ask_move(
    rt: Rt, who: ACustomer, booking_id: UUID, asked: requests.MoveRequest
) -> responses.BookingResponse:
    """The friend is asked for another time than the one agreed; he answers with an appointment."""
    if who.booking_id != booking_id:
        raise NotFound
    await commands.ask_move(rt, who.booking_id, wishes=tuple(asked.wishes), note=asked.note)
    view = await visible_booking(rt, who, BookingId(booking_id))
    return presenters.booking_for(who, view, rt.policy)


@router.get("/{booking_id}/events", summary="What has happened", responses=problems(NotFound))
async def list_events(
    rt: Rt,
    who: Insider,
    booking_id: UUID,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Only later than this.")] = 0,
    limit: Limit = pagination.PAGE_DEFAULT,
) -> responses.Page[responses.Event]:
    """The facts of a booking, numbered from 1 without gaps; `next_cursor` is the next `after`."""
    await check_owner(rt, who, BookingId(booking_id))
    async with reading(rt) as tx:
        found = await read_models.events(tx, BookingId(booking_id), after=after, limit=limit + 1)
    items = [presenters.event(view, whole=isinstance(who, Operator)) for view in found[:limit]]
    more = str(items[-1].seq) if len(found) > limit else None
    return responses.Page(items=items, next_cursor=more)


@router.post(
    "/{booking_id}/rating",
    status_code=201,
    summary="Rate",
    responses={201: REPLAY, **problems(NotFound, NotInThisState, AlreadyRated, KeyReused)},
)
async def rate_booking(
    *,
    rt: Rt,
    who: ACustomer,
    booking_id: UUID,
    asked: requests.RatingRequest,
    response: Response,
    key: Key = None,
) -> responses.RatingResponse:
    """One to five stars, once, by the customer's link."""
    if who.booking_id != booking_id:
        raise NotFound

    def said(done: Done) -> Mapping[str, Any]:
        rated = responses.RatingResponse(
            booking_id=booking_id, stars=asked.stars, comment=asked.comment, rated_at=done.now
        )
        return rated.model_dump(mode="json", exclude={"comment"})

    result = await commands.rate(
        rt,
        BookingId(booking_id),
        stars=asked.stars,
        comment=asked.comment,
        claim=claim(key, f"customer:{booking_id}", "POST rating", asked),
        said=said,
    )
    if isinstance(result, Repeated):
        response.headers[REPLAYED] = "true"
    assert result.said is not None
    return responses.RatingResponse.model_validate({**result.said, "comment": asked.comment})


def _order(asked: requests.BookingRequest, who: Caller) -> Order:
    if asked.partner_reference is not None and not isinstance(who, Partner):
        raise InvalidField(
            "partner_reference", "is for partners alone", "send your key, or leave it out"
        )
    address, point = asked.address.located()
    customer = asked.customer
    return Order(
        package=asked.package,
        address=address,
        point=point,
        name=customer.name,
        email=customer.email,
        phone=customer.phone,
        language=customer.language,
        notes=asked.notes or None,
        wishes=tuple(asked.wishes),
        quote_id=asked.quote_id,
        partner_id=who.partner_id if isinstance(who, Partner) else None,
        partner_reference=asked.partner_reference,
        members_only=isinstance(who, Partner) and who.members_only,
    )
