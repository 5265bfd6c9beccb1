"""Offers to a friend, the friend's answers, jobs and decisions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http import pagination
from api.http.auth import CurrentFriend, Rt
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import base, presenters, responses
from data.enums import BookingState, OfferState
from data.records.ids import OfferId
from data.store import read_models
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.jobs import commands
from dispatch.flows.read_only import read_connection
from dispatch.rules.jobs.outcomes import friend_outcome
from dispatch.rules.jobs.refusals import AtCapacity, OfferExpired, OfferGone
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.disclosure import may_know_customer
from dispatch.rules.trust.limits import TooManyToday

router = APIRouter(prefix="/v1", tags=["friends"], route_class=CompiledRoute)


@router.get("/me/offers", summary="List my offers")
async def list_my_offers(rt: Rt, caller: CurrentFriend) -> base.Page[responses.Offer]:
    """Live offers by the server's clock, sorted by expiry."""
    async with read_connection(rt) as tx:
        found = await read_models.offers(tx, caller.friend_id)
    items = [presenters.present_offer(view, rt.catalogue, rt.policy) for view in found]
    return base.Page(items=items, next_cursor=None)


@router.post(
    "/offers/{offer_id}/accept",
    summary="Accept an offer",
    responses=problems(NotFound, OfferGone, OfferExpired, AtCapacity, TooManyToday),
)
async def accept_offer(rt: Rt, caller: CurrentFriend, offer_id: UUID) -> responses.AcceptResponse:
    """Accept; the first friend to accept gets the job. A repeat gets the same response.

    It does while the friend has the job, and after its completion for as long as they may see the
    customer; then without the customer. Once the job was handed back, forfeited, released or
    cancelled, a repeat gets `offer-gone`.
    """
    done = await commands.accept(rt, OfferId(offer_id), caller.friend_id)
    award = done.job.award
    assert award is not None  # the command has made the award, or found it
    contact = None
    if may_know_customer(award.ended_at, done.now, rt.policy):
        contact = await lookups(rt).customers.get(award.booking_id)
    return presenters.present_award(done.job.booking, award, OfferId(offer_id), contact)


@router.post(
    "/offers/{offer_id}/decline",
    summary="Decline an offer",
    responses=problems(NotFound, OfferGone, OfferExpired),
)
async def decline_offer(rt: Rt, caller: CurrentFriend, offer_id: UUID) -> responses.DeclineResponse:
    """Decline; the next nearest friend gets an offer at once. Idempotent."""
    done = await commands.decline(rt, OfferId(offer_id), caller.friend_id)
    return responses.DeclineResponse(
        booking_id=done.job.booking.id, offer_id=offer_id, state=OfferState.DECLINED
    )


@router.get("/me/jobs", summary="List my jobs")
async def list_my_jobs(
    rt: Rt,
    caller: CurrentFriend,
    state: Annotated[BookingState | None, Query()] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> base.Page[responses.Job]:
    """Current and past jobs, newest first; contact data of the customer only for a limited time."""
    async with read_connection(rt) as tx:
        found = await read_models.jobs(
            tx,
            caller.friend_id,
            state=state,
            before=pagination.decode_time(cursor),
            limit=limit + 1,
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return base.Page(
        items=[presenters.present_job(view, rt.catalogue, rt.policy) for view in page],
        next_cursor=pagination.encode_time(last.award.awarded_at, last.award.id) if last else None,
    )


@router.get("/me/why", summary="List why I got offers or not")
async def list_my_reasons(
    rt: Rt, caller: CurrentFriend, limit: Limit = pagination.PAGE_DEFAULT, cursor: Cursor = None
) -> base.Page[responses.DecisionOutcome]:
    """The outcome for this friend in each decision that considered them, newest booking first.

    `NOT_NEAR_ENOUGH`: others were nearer, or the booking was outside the radius. `NOT_SUITABLE`:
    the package asks for something else.
    """
    async with read_connection(rt) as tx:
        found = await read_models.outcomes(
            tx, caller.friend_id, before=pagination.decode_sequence(cursor), limit=limit + 1
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return base.Page(
        items=[
            responses.DecisionOutcome(
                booking_id=view.booking_id,
                round=view.round,
                at=view.at,
                package=view.package,
                outcome=friend_outcome(view.outcome),
            )
            for view in page
        ],
        next_cursor=pagination.encode_sequence(last.booking_id, last.seq) if last else None,
    )
