"""A decision is made again from what is stored of it; everybody in reach is counted by outcome."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from data.enums import BookingState, Outcome, PackageTier, Tier
from data.records.people import Friend
from dispatch.rules.jobs import fan_out, inputs, matching
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.matching import Alike, Others
from dispatch.rules.jobs.replay import NotReplayable, replay
from dispatch.rules.policy import POLICY, Override, restore
from tests.rules.facts import Scenario, friend, friends, near, need, package
from tests.rules.test_matching import ALONE


def decisions_of(scenario: Scenario):
    return [decision for changes in scenario.applied for decision in changes.decisions]


@pytest.mark.parametrize("outcome", ALONE)
def test_each_reason_is_found_again_in_the_stored_facts(outcome: Outcome):
    of_friend, of_need = ALONE[outcome]
    wanted = need(**of_need)
    ranking = matching.rank(near(friend(1, **of_friend)), [wanted], asked=(), want=4)
    search = matching.search_of(Scenario(package=package(PackageTier.FRIEND)).job)
    search = replace(search, community=wanted.community)
    (facts,) = inputs.collect(search, ranking).friends
    number = inputs.number_companies([friend(1, **of_friend)]) or (0,)
    again = inputs.rebuild(friend(1).id, facts, search, wanted, *number)
    firms = frozenset({inputs.company_numbered(1)}) if facts.flags & inputs.COMPANY_ASKED else ()
    excluded = frozenset({friend(1).id}) if facts.flags & inputs.EXCLUDED else frozenset()
    asked = replace(wanted, customer_key=inputs.CUSTOMER, excluded=excluded)
    asked = replace(asked, companies_asked=frozenset(firms))
    assert matching.reason(*again, asked) is outcome


def test_a_decision_is_repeated_over_declines_tiers_and_the_last_round():
    pros = [friend(n, tier=Tier.PRO) for n in (1, 2)]
    scenario = Scenario(*pros, *(friend(n) for n in range(3, 8)))
    scenario.book()
    while scenario.live:
        scenario.advance(minutes=1)
        scenario.apply(rules.decline, scenario.live[0].id)
    assert scenario.state is BookingState.UNFILLED
    made = decisions_of(scenario)
    assert {decision.tier for decision in made} == set(Tier)
    assert all(replay(decision, POLICY).equals(decision) for decision in made)
    fewer = replace(POLICY, fan_out=2)
    assert not replay(made[0], fewer).equals(made[0])


def test_a_decision_with_a_favourite_is_repeated_whether_they_were_asked_or_not():
    pros = [friend(n, tier=Tier.PRO) for n in (1, 2)]
    for favourite in (pros[1], friend(7), friend(8, open_jobs=3)):
        everybody = [*pros, *(friend(n) for n in range(3, 8)), friend(8, open_jobs=3)]
        scenario = Scenario(*everybody, favourite_id=favourite.id).book()
        while scenario.live:
            scenario.apply(rules.decline, scenario.live[0].id)
        made = decisions_of(scenario)
        asked = [line.outcome for line in made[0].friends].count(Outcome.OFFERED)
        assert asked == (4 if favourite.open_jobs else 1)
        assert all(replay(decision, POLICY).equals(decision) for decision in made)


def test_a_decision_without_inputs_is_not_replayed():
    (decision,) = decisions_of(Scenario(*friends(3)).book())
    with pytest.raises(NotReplayable):
        replay(replace(decision, inputs=None), POLICY)


def test_a_policy_is_restored_from_its_numbers_and_known_by_its_fingerprint():
    other = replace(
        POLICY,
        overrides=(
            *POLICY.overrides,
            Override(package="new-mac", numbers={"contact_reminders": (timedelta(hours=2),)}),
        ),
    )
    for policy in (POLICY, other):
        again = restore(policy.numbers)
        assert again == policy
        assert again.fingerprint == policy.fingerprint
    assert other.fingerprint != POLICY.fingerprint
    # A release that no longer has a number, or has one more, still reads the others.
    older = {k: v for k, v in POLICY.numbers.items() if k != "frame"}
    assert restore(older | {"abolished": 1}) == POLICY


def test_everybody_in_reach_is_counted_and_nobody_too_far_for_their_own_radius():
    scenario = Scenario(package=package(PackageTier.FRIEND))
    listed = [friend(1, tier=Tier.PRO), friend(2, radius_m=150)]
    pending = rules.book(scenario.case())
    others = Others(
        alike=[
            Alike(friend(30, tier=Tier.PRO), 8),
            Alike(friend(31, open_jobs=3), 2),
            Alike(friend(32, certificates=()), 1),
        ]
    )
    (decision,) = fan_out.finish(pending, near(*listed), others).decisions
    assert decision.reach.within_m is None
    assert decision.reach.counts == {
        Outcome.WRONG_TIER: 9,
        Outcome.AT_CAPACITY: 2,
        Outcome.NOT_CERTIFIED: 1,
    }


def test_when_enough_are_found_those_as_near_as_all_are_listed_are_counted():
    scenario = Scenario()
    listed = [friend(1, open_jobs=3), *(friend(n) for n in range(2, 8))]
    pending = rules.book(scenario.case())
    (decision,) = fan_out.finish(pending, near(*listed), Others(within_m=510)).decisions
    assert decision.reach.counts == {Outcome.AT_CAPACITY: 1, Outcome.OFFERED: 4}
    assert decision.reach.within_m == 510


def test_friends_of_one_profile_have_one_reason():
    """The profile is all of a friend but identity, place and what only other rules read."""
    kept = {field.name for field in fields(Friend)} - matching.NOT_IN_REASON
    for name, value in {"open_jobs": 1, "quiet": 1, "plan": 1, "blocked": 1, "channels": 1}.items():
        assert name in kept
        assert matching.profile(friend(1)) != matching.profile(friend(1, **{name: value}))
    alike = friend(2, radius_m=7, taken=3, handed_back=1, jobs_per_day=1, version=9)
    assert matching.profile(friend(1)) == matching.profile(alike)
    cases = [friend(1, **of_friend) for of_friend, of_need in ALONE.values() if not of_need]
    moved = [replace(one, id=friend(9).id, ref="x", lat=0.0, version=5) for one in cases]
    for one, other in zip(cases, moved, strict=True):
        assert matching.profile(one) == matching.profile(other)
        assert matching.reason(one, 0.0, need()) is matching.reason(other, 0.0, need())
