"""Reported reviews, for the desk."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http.auth import CurrentCommunity, CurrentOperator, Rt
from api.http.pagination import PAGE_DEFAULT, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import presenters
from api.schemas import reviews as review_schemas
from data.records.ids import BookingId
from dispatch.flows.jobs import reviews
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk", tags=["desk"], route_class=CompiledRoute)


@router.get("/reviews", summary="List reported reviews")
async def list_reported_reviews(
    rt: Rt, caller: CurrentOperator, limit: Limit = PAGE_DEFAULT
) -> review_schemas.ReportedReviewsResponse:
    """The reviews that wait for a decision, oldest first."""
    found = await reviews.open_reports(rt, limit)
    items = list(map(presenters.present_report, found))
    return review_schemas.ReportedReviewsResponse(items=items)


@router.post(
    "/bookings/{booking_id}/review-decision",
    status_code=204,
    summary="Decide about a reported review",
    responses=problems(NotFound, NotInThisState),
)
async def decide_review(
    rt: Rt, caller: CurrentCommunity, booking_id: UUID, body: review_schemas.ReviewDecisionRequest
) -> None:
    """Hide the review for a reason, or keep it; both sides get a letter."""
    await reviews.decide(
        rt,
        BookingId(booking_id),
        by_friend=body.by_friend,
        hide=body.hide,
        operator=caller.person_id,
    )
