"""What a visit has shown that only pros can do stays with the job."""

import pytest

from data.enums import BookingState, PackageTier, Tier
from dispatch.rules.jobs import fan_out
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.reasons import IncompleteReason
from tests.rules.facts import Scenario, friend, friends, package


def needing_pro(tier: PackageTier, *pros: int) -> Scenario:
    """Five friends, and pros farther away; the nearest friend's visit has shown the need."""
    helpers = (*friends(5), *(friend(number, tier=Tier.PRO) for number in pros))
    scenario = Scenario(*helpers, package=package(tier)).contact()
    scenario.apply(rules.mark_incomplete, IncompleteReason.NEEDS_PRO, None)
    return scenario


@pytest.mark.parametrize("tier", [PackageTier.FRIEND, PackageTier.FRIEND_THEN_PRO])
def test_a_job_that_needs_a_pro_is_offered_to_pros_alone_from_then_on(tier):
    scenario = needing_pro(tier, 8, 9)
    scenario.apply(rules.redispatch)
    assert scenario.asked == ["f8", "f9"]
    scenario.accept(scenario.live[0])
    scenario.apply(rules.hand_back, "no_time", None, scenario.friends[friend(8).id])
    assert scenario.asked == ["f9"]


def test_without_a_pro_it_stays_unfilled_and_a_retry_asks_no_friend():
    scenario = needing_pro(PackageTier.FRIEND_THEN_PRO)
    for step in (rules.redispatch, fan_out.retry):
        scenario.apply(step)
        assert scenario.state is BookingState.UNFILLED
        assert scenario.asked == []


def test_another_reason_asks_friends_again():
    scenario = Scenario(*friends(5)).contact()
    scenario.apply(rules.mark_incomplete, IncompleteReason.PARTS_MISSING, None)
    scenario.apply(rules.redispatch)
    assert scenario.asked == ["f2", "f3", "f4", "f5"]


def test_the_desk_sets_the_requirement_and_lifts_it():
    scenario = Scenario(*friends(5), friend(8, tier=Tier.PRO)).book()
    scenario.apply(rules.accept, scenario.live[0].id, scenario.friends[friend(1).id])
    scenario.apply(rules.redispatch, True)
    assert scenario.asked == ["f8"]
    scenario = needing_pro(PackageTier.FRIEND_THEN_PRO, 8)
    scenario.apply(rules.redispatch, False)
    assert scenario.asked == ["f2", "f3", "f4", "f5"]
