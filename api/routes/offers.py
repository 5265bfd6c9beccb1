"""What a friend is asked, and what he answers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api import cursors, schemas, showing
from api.auth import AFriend, Rt
from api.cursors import Cursor, Limit
from api.direct import Direct
from api.openapi import problems
from data.enums import BookingState, OfferState
from data.records.ids import OfferId
from data.store import read_models
from dispatch.flows.batched_lookups import lookups
from dispatch.flows.jobs import commands
from dispatch.flows.read_only import reading
from dispatch.rules.jobs.outcomes import told
from dispatch.rules.jobs.refusals import AtCapacity, OfferExpired, OfferGone
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1", tags=["friends"], route_class=Direct)


@router.get("/me/offers", summary="What I am asked now")
async def list_my_offers(rt: Rt, who: AFriend) -> schemas.Page[schemas.Offer]:
    """Offers that stand at this moment by the server's clock, the first to expire first."""
    async with reading(rt) as tx:
        found = await read_models.offers(tx, who.friend_id)
    items = [showing.offer(view, rt.packages, rt.policy) for view in found]
    return schemas.Page(items=items, next_cursor=None)


@router.post(
    "/offers/{offer_id}/accept",
    summary="I take it",
    responses=problems(NotFound, OfferGone, OfferExpired, AtCapacity),
)
async def accept_offer(rt: Rt, who: AFriend, offer_id: UUID) -> schemas.Awarded:
    """The first to accept gets the job; repeating it gets the same answer again."""
    done = await commands.accept(rt, OfferId(offer_id), who.friend_id)
    award = done.job.award
    assert award is not None  # the rule has just given it, or found it still given
    contact = None
    if showing.may_know_customer(award.ended_at, done.now, rt.policy):
        contact = await lookups(rt).customers.get(award.booking_id)
    return showing.awarded(done.job.booking, award, OfferId(offer_id), contact)


@router.post(
    "/offers/{offer_id}/decline",
    summary="Not this one",
    responses=problems(NotFound, OfferGone, OfferExpired),
)
async def decline_offer(rt: Rt, who: AFriend, offer_id: UUID) -> schemas.Declined:
    """The next nearest friend is asked at once; repeating it changes nothing."""
    done = await commands.decline(rt, OfferId(offer_id), who.friend_id)
    return schemas.Declined(
        booking_id=done.job.booking.id, offer_id=offer_id, state=OfferState.DECLINED
    )


@router.get("/me/jobs", summary="My jobs")
async def list_my_jobs(
    rt: Rt,
    who: AFriend,
    state: Annotated[BookingState | None, Query()] = None,
    limit: Limit = cursors.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> schemas.Page[schemas.Job]:
    """The jobs I hold or have done, the newest first, with the customer until 14 days after."""
    async with reading(rt) as tx:
        found = await read_models.jobs(
            tx,
            who.friend_id,
            state=state,
            before=cursors.to_moment(cursor),
            limit=limit + 1,
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return schemas.Page(
        items=[showing.job(view, rt.packages, rt.policy) for view in page],
        next_cursor=cursors.of_moment(last.awarded_at, last.award_id) if last else None,
    )


@router.get("/me/why", summary="Why I was asked, or not")
async def list_my_reasons(
    rt: Rt, who: AFriend, limit: Limit = cursors.PAGE_DEFAULT, cursor: Cursor = None
) -> schemas.Page[schemas.Why]:
    """What became of me in each decision that considered me, the newest booking first.

    `NOT_NEAR_ENOUGH`: others were nearer, or it lay outside my radius.
    """
    async with reading(rt) as tx:
        found = await read_models.why(
            tx, who.friend_id, before=cursors.to_number(cursor), limit=limit + 1
        )
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return schemas.Page(
        items=[
            schemas.Why(
                booking_id=view.booking_id,
                round=view.round,
                at=view.at,
                package=view.package,
                outcome=told(view.outcome),
            )
            for view in page
        ],
        next_cursor=cursors.of_number(last.booking_id, last.seq) if last else None,
    )
