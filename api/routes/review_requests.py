"""A friend asks that a person looks at a decision again, or that a fact is corrected."""

from __future__ import annotations

from fastapi import APIRouter

from api.http.auth import CurrentFriend, Rt
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import review_requests as schemas
from dispatch.flows.people import review_requests
from dispatch.rules.people.review_requests import ReviewAskedAlready
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/me", tags=["friends"], route_class=CompiledRoute)


@router.get("/review-requests", summary="List my requests for review")
async def list_my_review_requests(rt: Rt, caller: CurrentFriend) -> schemas.ReviewRequestsResponse:
    """What you asked a person to look at again, and the answers."""
    found = await review_requests.own(rt, caller.friend_id)
    items = list(map(schemas.ReviewRequestResponse.model_validate, found))
    return schemas.ReviewRequestsResponse(items=items)


@router.post(
    "/review-requests",
    status_code=201,
    summary="Ask for a review by a person",
    responses=problems(NotFound, ReviewAskedAlready),
)
async def ask_review(
    rt: Rt, caller: CurrentFriend, body: schemas.AskReviewRequest
) -> schemas.ReviewRequestResponse:
    """Somebody who did not decide looks again and answers with reasons until `due_at`."""
    me = caller.friend_id
    asked = await review_requests.ask(rt, me, body.about, body.text, actor=f"friend:{me}")
    return schemas.ReviewRequestResponse.model_validate(asked)
