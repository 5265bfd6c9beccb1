"""The JSON of reviews and of the public profile of a friend."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from api.schemas.base import RequestModel, ResponseModel, example
from api.schemas.fields import LINES, Comment, Flag, ShortNote, Stars
from data.markets import Language
from data.records.reviews import HideReason

Reply = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), LINES
]


class CustomerReviewRequest(RequestModel):
    """What the friend says of the customer."""

    model_config = example({"stars": 5, "comment": "Friendly, and well prepared."})

    stars: Stars
    comment: Comment | None = None


class ReplyRequest(RequestModel):
    """The one reply to a review of oneself."""

    model_config = example({"text": "Thank you, it was a pleasure."})

    text: Reply


class ReportRequest(RequestModel):
    """Why a review of oneself should be looked at."""

    model_config = example({"text": "It names my street."})

    text: ShortNote | None = None


class ReviewDecisionRequest(RequestModel):
    """Whose review it is, and why it is hidden; without a reason it is kept."""

    model_config = example({"by_friend": False, "hide": "personal_data"})

    by_friend: Flag
    hide: HideReason | None = None


class ReviewResponse(ResponseModel):
    """A review: one's `own`, or what the other side says, once it is shown.

    An own one that is `hidden` says why; the other side does not get it.
    """

    own: bool
    stars: int
    comment: str | None
    at: datetime
    shown_at: datetime
    reply: str | None
    reported: bool
    hidden: HideReason | None


class ReviewsResponse(ResponseModel):
    """What one side sees of both reviews; both can be written until `reviewable_until`."""

    items: list[ReviewResponse]
    reviewable_until: datetime | None


class ReportedReview(ResponseModel):
    """A review that was reported."""

    booking_id: UUID
    package: str
    by_friend: bool
    stars: int
    comment: str | None
    reply: str | None
    report: str | None
    reported_at: datetime


class ReportedReviewsResponse(ResponseModel):
    """The reported reviews that wait for a decision, oldest first."""

    items: list[ReportedReview]


class ShownReview(ResponseModel):
    """A review as it is shown to everybody who may see the profile; `month` like 2026-11."""

    stars: int
    comment: str
    month: str
    reply: str | None


class HeldSkill(ResponseModel):
    """A certificate that is valid."""

    code: str
    name: str


class FriendProfileResponse(ResponseModel):
    """What customers see of a friend; `stars` is the mean of what is shown, null without any."""

    first_name: str
    photo: UUID | None
    languages: list[Language]
    certificates: list[HeldSkill]
    stars: float | None
    ratings: int
    jobs: int
    reviews: list[ShownReview]
