"""Requests for human review, for the desk."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from api.http import pagination
from api.http.auth import CurrentCommunity, Rt, actor
from api.http.pagination import Cursor, Limit
from api.http.routing import CompiledRoute
from api.openapi.document import problems
from api.schemas import review_requests as schemas
from api.schemas.base import Page
from data.records.ids import FriendId, PersonId
from data.records.review_requests import ReviewOutcome, WaitingRequest
from dispatch.flows.people import review_requests
from dispatch.rules.people.review_requests import (
    ReviewAnswered,
    ReviewAskedAlready,
    ReviewByAnother,
)
from dispatch.rules.refusals import NotFound

router = APIRouter(prefix="/v1/desk", tags=["desk"], route_class=CompiledRoute)


@router.get("/review-requests", summary="List requests for review")
async def list_review_requests(
    rt: Rt,
    caller: CurrentCommunity,
    limit: Limit = pagination.PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Page[schemas.WaitingReviewRequest]:
    """Those without an answer, the first due first. The access is logged."""
    after = pagination.decode_time(cursor)
    found = await review_requests.waiting(rt, after=after, limit=limit + 1, actor=actor(caller))
    items = [_waiting(one, caller.person_id) for one in found[:limit]]
    more = pagination.encode_time(items[-1].due_at, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@router.post(
    "/review-requests/{request_id}/answer",
    status_code=204,
    summary="Answer a request for review",
    responses=problems(NotFound, ReviewAnswered, ReviewByAnother),
)
async def answer_review_request(
    rt: Rt, caller: CurrentCommunity, request_id: UUID, body: schemas.AnswerReviewRequest
) -> None:
    """Answer with reasons, which the friend gets by letter; not by who decided."""
    outcome = ReviewOutcome(body.outcome)
    await review_requests.answer(rt, request_id, outcome, body.reasons, operator=caller.person_id)


@router.post(
    "/people/{person_id}/review-requests",
    status_code=201,
    summary="Note a request for review",
    responses=problems(NotFound, ReviewAskedAlready),
)
async def note_review_request(
    rt: Rt, caller: CurrentCommunity, person_id: UUID, body: schemas.AskReviewRequest
) -> schemas.ReviewRequestResponse:
    """For a friend who wrote or called, as one who is suspended cannot sign in."""
    asked = await review_requests.ask(
        rt, FriendId(person_id), body.about, body.text, actor=actor(caller)
    )
    return schemas.ReviewRequestResponse.model_validate(asked)


def _waiting(found: WaitingRequest, operator: PersonId) -> schemas.WaitingReviewRequest:
    one = found.request
    return schemas.WaitingReviewRequest(
        id=one.id,
        friend_id=one.friend_id,
        friend_name=found.friend_name,
        ref=found.ref,
        about=one.about,
        text=one.text,
        asked_at=one.asked_at,
        due_at=one.due_at,
        decided_by_me=one.decided_by == operator,
    )
