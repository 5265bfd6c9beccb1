import pytest

from data.enums import Outcome
from dispatch.rules.jobs.outcomes import (
    FRIEND_OUTCOMES,
    HIDDEN,
    Nearness,
    Suitability,
    friend_outcome,
)


def test_too_far_not_among_the_nearest_and_after_a_favourite_look_the_same_to_the_friend():
    assert (
        friend_outcome(Outcome.OUT_OF_RADIUS)
        is friend_outcome(Outcome.RANKED_BELOW_K)
        is friend_outcome(Outcome.FAVOURITE_FIRST)
        is Nearness.NOT_NEAR_ENOUGH
    )


def test_an_outcome_that_depends_on_age_is_neutral_to_everybody_but_the_desk():
    assert friend_outcome(Outcome.TOO_YOUNG) is Suitability.NOT_SUITABLE
    assert "TOO_YOUNG" not in FRIEND_OUTCOMES


@pytest.mark.parametrize("outcome", set(Outcome) - HIDDEN - {Outcome.TOO_YOUNG})
def test_every_other_outcome_is_visible_unchanged(outcome):
    asked_first = (Outcome.FAVOURITE_FIRST, Outcome.COMPANY_ASKED)
    far = outcome in (Outcome.OUT_OF_RADIUS, Outcome.RANKED_BELOW_K, *asked_first)
    assert far or friend_outcome(outcome) is outcome


def test_a_block_between_friend_and_customer_is_never_visible():
    assert {Outcome.BLOCKED} == HIDDEN
    assert "BLOCKED" not in FRIEND_OUTCOMES
    assert len(FRIEND_OUTCOMES) == len(Outcome) - 4
