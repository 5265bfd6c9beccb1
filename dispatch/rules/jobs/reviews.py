"""Customer and friend review each other, double-blind: neither sees the other's until both are in.

What was said is shown `policy.review_within` after the completion at the latest, and from then on
nothing can be said any more: nobody answers a review with another. So no timer is needed. Each side
may reply once to what is shown about it, and report it; an operator hides it with a reason or keeps
it, and both sides hear of that.
"""

from __future__ import annotations

from datetime import datetime

from data.enums import BookingState
from data.records.ids import PersonId
from data.records.jobs import Award, Rating
from data.records.reviews import HideReason, Review, ReviewDecision
from dispatch.rules.jobs.draft import Case, Draft, Verdict
from dispatch.rules.jobs.refusals import AlreadyRated, ReviewOver
from dispatch.rules.policy import Policy
from dispatch.rules.refusals import Refused


class NoReviewShown(Refused):
    """There is no review of you that is shown."""

    code = "no-review-shown"
    detail = "It is shown once both sides have reviewed, or when the time to review is over."


def reviewable_until(award: Award, policy: Policy) -> datetime | None:
    """Until when both may review a completed job, and when their reviews are shown."""
    return None if award.ended_at is None else award.ended_at + policy.review_within


def rate(case: Case, stars: int, comment: str | None) -> Verdict:
    """Review the friend of a completed job, once. Raises AlreadyRated, ReviewOver."""
    draft = _reviewable(case, case.job.rated)
    draft.rating = _said(draft, stars, comment)
    draft.add_event("booking.rated", friend=str(draft.rating.friend_id), stars=stars)
    return draft.changes()


def review_customer(case: Case, stars: int, comment: str | None) -> Verdict:
    """Review the customer of a completed job, once. Raises AlreadyRated, ReviewOver."""
    draft = _reviewable(case, case.job.reviewed)
    draft.review = _said(draft, stars, comment)
    draft.add_event("customer.reviewed", friend=str(draft.review.friend_id))
    return draft.changes()


def is_shown(review: Review, now: datetime) -> bool:
    """Whether others than its writer may see a review."""
    return review.shown_at <= now and review.hidden is None


def check_report(review: Review, now: datetime) -> None:
    """Raise NoReviewShown unless the reviewed may report it."""
    if not is_shown(review, now):
        raise NoReviewShown


def check_reply(review: Review, now: datetime) -> None:
    """Raise NoReviewShown, or AlreadyRated after the one reply."""
    check_report(review, now)
    if review.replied_at is not None:
        raise AlreadyRated("There is one reply to a review.")


def decide(case: Case, review: Review, hide: HideReason | None, operator: PersonId) -> Verdict:
    """Hide a reported review for a reason, or keep it; what was decided before may change."""
    draft = Draft(case)
    draft.require_state(BookingState.COMPLETED)
    draft.decision_on_review = ReviewDecision(
        no=review.no, by_friend=review.by_friend, hidden=hide, operator=operator
    )
    about = {"friend": str(draft.held.friend_id), "by_friend": review.by_friend}
    if hide is None:
        draft.add_event("review.kept", **about)
    else:
        draft.add_event("review.hidden", **about, reason=hide)
    return draft.changes()


def _reviewable(case: Case, already: bool) -> Draft:
    draft = Draft(case)
    draft.require_state(BookingState.COMPLETED)
    if already:
        raise AlreadyRated
    until = reviewable_until(draft.held, draft.policy)
    if until is None or case.now >= until:
        raise ReviewOver
    return draft


def _said(draft: Draft, stars: int, comment: str | None) -> Rating:
    until = reviewable_until(draft.held, draft.policy)
    assert until is not None
    return Rating(
        booking_id=draft.booking.id,
        friend_id=draft.held.friend_id,
        stars=stars,
        comment=comment or None,
        at=draft.now,
        shown_at=until,
    )
