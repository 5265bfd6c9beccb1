import pytest

from data.enums import Outcome
from dispatch.rules.jobs.outcomes import FRIEND_OUTCOMES, HIDDEN, Nearness, friend_outcome


def test_too_far_and_not_among_the_nearest_look_the_same_to_the_friend():
    assert (
        friend_outcome(Outcome.OUT_OF_RADIUS)
        is friend_outcome(Outcome.RANKED_BELOW_K)
        is Nearness.NOT_NEAR_ENOUGH
    )


@pytest.mark.parametrize("outcome", set(Outcome) - HIDDEN)
def test_every_other_outcome_is_shown_as_it_is(outcome):
    far = outcome in (Outcome.OUT_OF_RADIUS, Outcome.RANKED_BELOW_K)
    assert far or friend_outcome(outcome) is outcome


def test_that_a_friend_and_a_customer_are_kept_apart_is_never_shown():
    assert {Outcome.BLOCKED} == HIDDEN
    assert "BLOCKED" not in FRIEND_OUTCOMES
    assert len(FRIEND_OUTCOMES) == len(Outcome) - 2
