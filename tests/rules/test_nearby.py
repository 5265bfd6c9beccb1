"""The outcome of each friend near a booking."""

from dataclasses import replace
from random import Random

from data.enums import FriendState, Outcome, Tier
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.nearby import DeskOutcome, classify_nearby
from tests.rules.facts import Scenario, friend, friends, near

ASKED, FITS, HOLDS_IT = Outcome.OFFERED, DeskOutcome.FITS, DeskOutcome.HOLDS_IT


def outcomes(scenario):
    found = classify_nearby(
        scenario.job, near(*scenario.friends.values()), scenario.now, scenario.policy
    )
    return [one.outcome for one in found]


def test_each_friend_nearby_has_one_outcome():
    paused = friend(7, state=FriendState.PAUSED)
    scenario = Scenario(
        *friends(6), paused, friend(8, radius_m=500), friend(9, tier=Tier.PRO)
    ).book()
    wrong = [Outcome.INACTIVE, Outcome.OUT_OF_RADIUS, Outcome.WRONG_TIER]
    assert outcomes(scenario) == [*[ASKED] * 4, FITS, FITS, *wrong]


def test_the_holder_is_marked_and_those_who_lost_could_be_asked_again():
    assert outcomes(Scenario(*friends(5)).award()) == [HOLDS_IT, FITS, FITS, FITS, FITS]


def test_a_declined_friend_is_excluded_and_an_expired_offer_does_not_count():
    scenario = Scenario(*friends(5)).book()
    scenario.apply(rules.decline, scenario.live[0].id)
    assert outcomes(scenario) == [Outcome.EXCLUDED, ASKED, ASKED, ASKED, ASKED]
    assert outcomes(scenario.advance(days=1)) == [Outcome.EXCLUDED, FITS, FITS, FITS, FITS]


def test_after_the_last_round_the_outcomes_are_those_of_another_round():
    scenario = Scenario(friend(1, state=FriendState.PAUSED)).book()
    scenario.friends |= {one.id: one for one in (friend(2), friend(3, tier=Tier.PRO))}
    spent = replace(scenario.job.booking, round=5, round_limit=5)
    scenario.job = replace(scenario.job, booking=spent)
    assert outcomes(scenario) == [Outcome.INACTIVE, FITS, FITS]


def test_the_nearest_come_first_in_whatever_order_they_are_found():
    scenario = Scenario(*friends(9)).book()
    nearby = list(near(*scenario.friends.values()))
    wanted = classify_nearby(scenario.job, nearby, scenario.now, scenario.policy)
    assert [one.distance_m for one in wanted] == sorted(one.distance_m for one in wanted)
    for seed in range(5):
        Random(seed).shuffle(nearby)
        assert classify_nearby(scenario.job, nearby, scenario.now, scenario.policy) == wanted
