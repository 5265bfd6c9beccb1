"""Requests for human review: who may answer, and when the desk is reminded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from data.records.ids import PersonId
from data.records.review_requests import ReviewRequest, ReviewSubject
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused

DECISIONS: Final[Mapping[ReviewSubject, tuple[str, ...]]] = {
    ReviewSubject.SUSPENSION: ("friend.suspended", "friend.paused"),
    ReviewSubject.APPLICATION: ("application.declined",),
    ReviewSubject.LIMITS: ("friend.limited",),
    ReviewSubject.LEVEL: ("friend.level_set",),
    ReviewSubject.CERTIFICATE: ("friend.uncertified", "exam.practical_declined"),
}
"""By which entries of the journal an operator decided what a request is about."""


class ReviewAskedAlready(Refused):
    """You have asked for this already, and the answer is due."""

    code = "review-asked-already"
    field = "about"


class ReviewAnswered(Refused):
    """This request was answered already."""

    code = "review-answered"
    detail = "Reload the list."


class ReviewByAnother(Refused):
    """The operator who decided does not answer the request."""

    code = "review-by-another"
    detail = "Ask another operator of the community or an admin to look at it."


def check_may_answer(request: ReviewRequest, operator: PersonId) -> None:
    """Raise ReviewAnswered or ReviewByAnother unless this operator may answer."""
    if request.answered_at is not None:
        raise ReviewAnswered
    if request.decided_by == operator:
        raise ReviewByAnother


def next_reminder(request: ReviewRequest, policy: Policy) -> datetime | None:
    """When the desk is to be reminded of a request next: before it is due, and when it is."""
    if request.reminded_at is None:
        return max(request.asked_at, request.due_at - policy.review_reminded_before)
    return request.due_at if request.reminded_at < request.due_at else None


def remind(
    requests: Iterable[ReviewRequest], now: datetime, policy: Policy
) -> tuple[list[ReviewRequest], datetime | None]:
    """Those to remind of now, and when the next reminder is due; None without one."""
    due: list[ReviewRequest] = []
    later: list[datetime] = []
    for one in requests:
        at = next_reminder(one, policy)
        if at is not None and at <= now:
            due.append(one)
            at = one.due_at if now < one.due_at else None
        if at is not None:
            later.append(at)
    return due, min(later, default=None)
