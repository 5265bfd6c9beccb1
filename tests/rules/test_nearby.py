"""What every friend near a booking is to it now: one outcome each."""

from dataclasses import replace
from random import Random

from data.enums import FriendState, Outcome, Tier
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.nearby import DeskOutcome, classify_nearby
from tests.rules.facts import Story, friend, friends, near

ASKED, FITS, HOLDS_IT = Outcome.OFFERED, DeskOutcome.FITS, DeskOutcome.HOLDS_IT


def outcomes(story):
    found = classify_nearby(story.job, near(*story.friends.values()), story.now, story.policy)
    return [one.outcome for one in found]


def test_who_is_asked_who_could_be_and_why_not_the_others():
    paused = friend(7, state=FriendState.PAUSED)
    story = Story(*friends(6), paused, friend(8, radius_m=500), friend(9, tier=Tier.PRO)).booked()
    wrong = [Outcome.INACTIVE, Outcome.OUT_OF_RADIUS, Outcome.WRONG_TIER]
    assert outcomes(story) == [*[ASKED] * 4, FITS, FITS, *wrong]


def test_who_holds_it_is_told_apart_and_losers_could_have_it_again():
    assert outcomes(Story(*friends(5)).awarded()) == [HOLDS_IT, FITS, FITS, FITS, FITS]


def test_who_declined_is_excluded_and_an_offer_run_out_is_none():
    story = Story(*friends(5)).booked()
    story.tell(rules.decline, story.live[0].id)
    assert outcomes(story) == [Outcome.EXCLUDED, ASKED, ASKED, ASKED, ASKED]
    assert outcomes(story.later(days=1)) == [Outcome.EXCLUDED, FITS, FITS, FITS, FITS]


def test_when_the_rounds_are_spent_it_says_what_another_would_find():
    story = Story(friend(1, state=FriendState.PAUSED)).booked()
    story.friends |= {one.id: one for one in (friend(2), friend(3, tier=Tier.PRO))}
    spent = replace(story.job.booking, round=5, round_limit=5)
    story.job = replace(story.job, booking=spent)
    assert outcomes(story) == [Outcome.INACTIVE, FITS, FITS]


def test_the_nearest_come_first_in_whatever_order_they_are_found():
    story = Story(*friends(9)).booked()
    nearby = list(near(*story.friends.values()))
    wanted = classify_nearby(story.job, nearby, story.now, story.policy)
    assert [one.distance_m for one in wanted] == sorted(one.distance_m for one in wanted)
    for seed in range(5):
        Random(seed).shuffle(nearby)
        assert classify_nearby(story.job, nearby, story.now, story.policy) == wanted
