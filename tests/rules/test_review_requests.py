"""When the desk is reminded of a request for review, and who may answer."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from data.records.ids import FriendId, PersonId
from data.records.review_requests import ReviewRequest, ReviewSubject
from dispatch.rules.people import review_requests as rules
from dispatch.rules.policy import POLICY

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DUE = NOW + POLICY.review_answered_within
BEFORE = DUE - POLICY.review_reminded_before
TICK = timedelta(microseconds=1)
OLGA, OTTO = PersonId(UUID(int=1)), PersonId(UUID(int=2))


def request(**changes):
    fields = {
        "id": UUID(int=3),
        "friend_id": FriendId(UUID(int=4)),
        "about": ReviewSubject.LIMITS,
        "text": "More, please.",
        "asked_at": NOW,
        "due_at": DUE,
        "reminded_at": None,
        "decided_by": OLGA,
        "answered_at": None,
        "outcome": None,
        "reasons": None,
    }
    return ReviewRequest(**fields | changes)


@pytest.mark.parametrize(
    ("reminded_at", "now", "reminded", "following"),
    [
        (None, BEFORE - TICK, False, BEFORE),
        (None, BEFORE, True, DUE),
        (BEFORE, BEFORE, False, DUE),
        (BEFORE, DUE, True, None),
        (None, DUE, True, None),
        (DUE, DUE + TICK, False, None),
    ],
)
def test_a_reminder_comes_before_the_answer_is_due_and_when_it_is(
    reminded_at, now, reminded, following
):
    one = request(reminded_at=reminded_at)
    assert rules.remind([one], now, POLICY) == ([one] if reminded else [], following)


def test_the_operator_who_decided_may_not_answer_and_nobody_twice():
    rules.check_may_answer(request(), OTTO)
    rules.check_may_answer(request(decided_by=None), OLGA)
    with pytest.raises(rules.ReviewByAnother):
        rules.check_may_answer(request(), OLGA)
    with pytest.raises(rules.ReviewAnswered):
        rules.check_may_answer(request(answered_at=NOW), OTTO)
