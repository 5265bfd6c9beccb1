"""The JSON of requests for human review."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import LINES, ShortNote
from data.records.review_requests import ReviewOutcome, ReviewSubject

Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), LINES
]


class AskReviewRequest(RequestModel):
    """What a person should look at again, and why."""

    model_config = example({"about": "limits", "text": "I have time for more than two jobs."})

    about: ReviewSubject
    text: Words


class AnswerOutcome(StrEnum):
    """Whether the decision or the fact changes."""

    CHANGED = "changed"
    KEPT = "kept"


class AnswerReviewRequest(RequestModel):
    """The answer, with reasons that the friend reads."""

    model_config = example({"outcome": "changed", "reasons": "You may take ten jobs a day now."})

    outcome: AnswerOutcome
    reasons: ShortNote


class ReviewRequestResponse(ResponseModel):
    """A request of one's own; the answer is there with `answered_at`."""

    id: UUID
    about: ReviewSubject
    text: str
    asked_at: datetime
    due_at: datetime
    answered_at: datetime | None
    outcome: ReviewOutcome | None
    reasons: str | None


class ReviewRequestsResponse(ResponseModel):
    """The last requests, the newest first."""

    items: list[ReviewRequestResponse]


class WaitingReviewRequest(ResponseModel):
    """A request to answer; not by the operator whose decision it is about: `decided_by_me`."""

    id: UUID
    friend_id: UUID
    friend_name: str
    ref: str
    about: ReviewSubject
    text: str
    asked_at: datetime
    due_at: datetime
    decided_by_me: bool
