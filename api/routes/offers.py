"""What a friend is asked, and what he answers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http import pagination
from api.http.auth import AFriend, Rt
from api.http.pagination import Cursor, Limit
from api.http.routing import Direct
from api.openapi.document import problems
from api.schemas import presenters, responses
from data.enums import BookingState, OfferState
from data.records.ids import OfferId
from data.store import read_models
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.jobs import commands
from dispatch.flows.read_only import reading
from dispatch.rules.jobs.outcomes import told
from dispatch.rules.jobs.refusals import AtCapacity, OfferExpired, OfferGone
from dispatch.rules.refusals import NotFound
from dispatch.rules.trust.disclosure import may_know_customer

router = APIRouter(prefix="/v1", tags=["friends"], route_class=Direct)


@router.get("/me/offers", summary="What I am asked now")
async def list_my_offers(rt: Rt, who: AFriend) -> responses.Page[responses.Offer]:
    """Offers that stand at this moment by the server's clock, the first to expire first."""
    async with reading(rt) as tx:
        found = await read_models.offers(tx, who.friend_id)
    items = [presenters.offer(view, rt.packages, rt.policy) for view in found]
    return responses.Page(items=items, next_cursor=None)


@router.post(
    "/offers/{offer_id}/accept",
    summary="I take it",
    responses=problems(NotFound, OfferGone, OfferExpired, AtCapacity),
)
async def accept_offer(rt: Rt, who: AFriend, offer_id: UUID) -> responses.AcceptResponse:
    """The first to accept gets the job; repeating it gets the same answer again."""
    done = await commands.accept(rt, OfferId(offer_id), who.friend_id)
    award = done.job.award
    assert award is not None  # the rule has just given it, or found it still given
    contact = None
    if may_know_customer(award.ended_at, done.now, rt.policy):
        contact = await lookups(rt).customers.get(award.booking_id)
    return presenters.awarded(done.job.booking, award, OfferId(offer_id), contact)


@router.post(
    "/offers/{offer_id}/decline",
    summary="Not this one",
    responses=problems(NotFound, OfferGone, OfferExpired),
)
async def decline_offer(rt: Rt, who: AFriend, offer_id: UUID) -> responses.DeclineResponse:
    """The next nearest friend is asked at once; repeating it changes nothing."""
    done = await commands.decline(rt, OfferId(offer_id), who.friend_id)
    return responses.DeclineResponse(
        booking_id=done.job.booking.id, offer_id=offer_id, state=OfferState.DECLINED
    )


@router.get("/me/jobs", summary="My jobs")
async def list_my_jobs(
    rt: Rt,
    who: AFriend,
    state: Annotated[BookingState | None, Query()] = None,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> responses.Page[responses.Job]:
    """The jobs I hold or have done, the newest first, with the customer until 14 days after."""
    async with reading(rt) as tx:
        found = await read_models.jobs(
            tx,
            who.friend_id,
            state=state,
            before=pagination.to_moment(cursor),
            limit=limit + 1,
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return responses.Page(
        items=[presenters.job(view, rt.packages, rt.policy) for view in page],
        next_cursor=pagination.of_moment(last.awarded_at, last.award_id) if last else None,
    )


@router.get("/me/why", summary="Why I was asked, or not")
async def list_my_reasons(
    rt: Rt, who: AFriend, limit: Limit = pagination.PAGE_DEFAULT, cursor: Cursor = None
) -> responses.Page[responses.DecisionOutcome]:
    """What became of me in each decision that considered me, the newest booking first.

    `NOT_NEAR_ENOUGH`: others were nearer, or it lay outside my radius.
    """
    async with reading(rt) as tx:
        found = await read_models.why(
            tx, who.friend_id, before=pagination.to_number(cursor), limit=limit + 1
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return responses.Page(
        items=[
            responses.DecisionOutcome(
                booking_id=view.booking_id,
                round=view.round,
                at=view.at,
                package=view.package,
                outcome=told(view.outcome),
            )
            for view in page
        ],
        next_cursor=pagination.of_number(last.booking_id, last.seq) if last else None,
    )
