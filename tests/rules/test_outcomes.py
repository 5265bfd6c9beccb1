import pytest

from data.enums import Outcome
from dispatch.rules.jobs.outcomes import SILENT, FriendOutcome, friend_outcome


def test_too_far_and_not_among_the_nearest_are_told_as_one():
    assert (
        friend_outcome(Outcome.OUT_OF_RADIUS)
        is friend_outcome(Outcome.RANKED_BELOW_K)
        is FriendOutcome.NOT_NEAR_ENOUGH
    )


@pytest.mark.parametrize("outcome", set(Outcome) - SILENT)
def test_every_other_outcome_is_told_as_it_is(outcome):
    far = outcome in (Outcome.OUT_OF_RADIUS, Outcome.RANKED_BELOW_K)
    assert far or friend_outcome(outcome) == outcome


def test_that_a_friend_and_a_customer_are_kept_apart_has_no_word():
    assert {Outcome.BLOCKED} == SILENT
    assert "BLOCKED" not in set(FriendOutcome)
