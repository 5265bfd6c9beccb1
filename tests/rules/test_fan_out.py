"""Who is asked about a job, in which order and how often, and when nobody is left."""

from dataclasses import replace
from random import Random

import pytest

from data.enums import (
    BookingState,
    OfferState,
    Outcome,
    PackageTier,
    Tier,
    TimerKind,
)
from dispatch.rules.jobs import fan_out, inputs
from dispatch.rules.jobs import job as rules
from dispatch.rules.policy import HOUR, Override, Policy
from tests.rules.facts import NOW, Scenario, friend, friends, near, package
from tests.rules.test_matching import ALONE, CLUB


def test_the_four_nearest_are_asked_at_once():
    scenario = Scenario(*friends(6)).book()
    assert scenario.asked == ["f1", "f2", "f3", "f4"]
    assert scenario.state is BookingState.OPEN
    assert scenario.kinds == ["booking.created", "booking.offered"]
    assert sorted(offer.slot for offer in scenario.live) == [1, 2, 3, 4]
    assert {offer.round for offer in scenario.live} == {1}
    assert scenario.job.timers == {TimerKind.OFFERS_EXPIRE: NOW + scenario.policy.offer_life}


def test_the_order_in_which_friends_are_known_does_not_matter():
    everybody = list(friends(12))
    for seed in range(10):
        Random(seed).shuffle(everybody)
        assert Scenario(*everybody).book().asked == ["f1", "f2", "f3", "f4"]


def test_a_booking_nobody_can_serve_is_unfilled_at_once_and_will_be_tried_again():
    scenario = Scenario().book()
    assert scenario.state is BookingState.UNFILLED
    assert scenario.kinds == ["booking.created", "booking.unfilled"]
    assert scenario.job.timers == {TimerKind.RETRY: NOW + scenario.policy.retry_every}


def test_the_decision_is_kept_with_the_event_it_belongs_to():
    scenario = Scenario(*friends(5), friend(6, open_jobs=3)).book()
    (decision,) = scenario.applied[0].decisions
    assert (decision.seq, decision.round, decision.policy) == (2, 1, scenario.policy.name)
    assert [f.outcome for f in decision.friends] == [
        *[Outcome.OFFERED] * 4,
        Outcome.RANKED_BELOW_K,
        Outcome.AT_CAPACITY,
    ]


def test_a_decline_asks_the_next_nearest_in_the_same_round():
    scenario = Scenario(*friends(6)).book()
    freed = scenario.live[1]
    scenario.apply(rules.decline, freed.id)
    assert scenario.asked == ["f1", "f3", "f4", "f5"]
    assert {offer.round for offer in scenario.live} == {1}
    assert scenario.live[-1].slot == freed.slot
    assert scenario.apply(rules.decline, freed.id) is None
    assert scenario.job.timers[TimerKind.OFFERS_EXPIRE] == NOW + scenario.policy.offer_life


def test_pros_are_asked_only_when_no_friend_is_left():
    pros = [friend(n, tier=Tier.PRO) for n in (1, 2)]
    scenario = Scenario(*pros, *(friend(n) for n in (5, 6))).book()
    assert scenario.asked == ["f5", "f6"]
    scenario.apply(rules.decline, scenario.live[0].id)
    assert scenario.asked == ["f6"]
    scenario.apply(rules.decline, scenario.live[0].id)
    assert scenario.asked == ["f1", "f2"]
    assert scenario.job.booking.tier is Tier.PRO
    assert scenario.kinds[-2:] == ["booking.escalated", "booking.offered"]


def test_pros_are_never_asked_for_what_friends_do():
    scenario = Scenario(friend(1, tier=Tier.PRO), package=package(PackageTier.FRIEND)).book()
    assert scenario.state is BookingState.UNFILLED


def test_when_everybody_declined_the_booking_is_unfilled():
    scenario = Scenario(*friends(5)).book()
    while scenario.live:
        scenario.apply(rules.decline, scenario.live[0].id)
    assert scenario.state is BookingState.UNFILLED
    assert scenario.events[-1].data["because"] == "nobody_left"


def test_only_offers_whose_time_is_over_expire():
    scenario = Scenario(*friends(5)).book()
    scenario.advance(minutes=20).apply(rules.decline, scenario.live[0].id)
    scenario.advance(minutes=40).apply(fan_out.expire)
    assert scenario.offers(OfferState.EXPIRED) == ["f2", "f3", "f4"]
    assert scenario.asked == ["f5"]
    assert scenario.job.timers[TimerKind.OFFERS_EXPIRE] == scenario.live[0].expires_at


def test_a_sweep_that_comes_too_early_only_corrects_the_timer():
    scenario = Scenario(*friends(4)).book()
    result = scenario.advance(minutes=59).apply(fan_out.expire)
    assert result is not None
    assert (result.events, result.offers) == ((), ())
    assert result.timers == {TimerKind.OFFERS_EXPIRE: NOW + scenario.policy.offer_life}


def test_when_the_rounds_are_used_up_the_booking_is_unfilled():
    policy = Policy(rounds=2)
    scenario = Scenario(*friends(20), package=package(PackageTier.FRIEND), policy=policy).book()
    scenario.advance(minutes=60).apply(fan_out.expire)
    assert scenario.asked == ["f5", "f6", "f7", "f8"]
    scenario.advance(minutes=60).apply(fan_out.expire)
    assert scenario.state is BookingState.UNFILLED
    assert scenario.events[-1].data == {"round": 2, "because": "rounds_spent"}


def test_after_the_rounds_of_friends_pros_have_rounds_of_their_own():
    pros = [friend(n, tier=Tier.PRO) for n in range(30, 36)]
    scenario = Scenario(*friends(20), *pros, policy=Policy(rounds=1)).book()
    scenario.advance(minutes=60).apply(fan_out.expire)
    assert scenario.asked == ["f30", "f31", "f32", "f33"]
    assert scenario.job.booking.round == 2
    scenario.advance(minutes=60).apply(fan_out.expire)
    assert scenario.state is BookingState.UNFILLED


def test_a_retry_without_candidates_writes_no_event_and_repeats_until_its_time_is_over():
    scenario = Scenario().book()
    tries = 0
    while TimerKind.RETRY in scenario.job.timers:
        scenario.now = scenario.job.timers[TimerKind.RETRY]
        result = scenario.apply(fan_out.retry)
        assert result is not None
        assert (result.events, result.messages, result.decisions) == ((), (), ())
        tries += 1
    assert tries == scenario.policy.retry_for / scenario.policy.retry_every
    assert scenario.state is BookingState.UNFILLED


def test_a_retry_asks_new_candidates_but_nobody_who_refused():
    scenario = Scenario(*friends(1)).book()
    scenario.apply(rules.decline, scenario.live[0].id)
    newcomer = friend(7)
    scenario.friends[newcomer.id] = newcomer
    scenario.advance(minutes=15).apply(fan_out.retry)
    assert scenario.asked == ["f7"]
    assert TimerKind.RETRY not in scenario.job.timers


def test_a_friend_who_lost_is_asked_again_when_the_winner_fails():
    scenario = Scenario(*friends(4)).award()
    scenario.advance(hours=12).apply(rules.forfeit)
    assert scenario.asked == ["f2", "f3", "f4"]
    assert scenario.job.booking.round == 2


def losing() -> dict:
    return {
        "forfeited": lambda s: s.advance(hours=12).apply(rules.forfeit),
        "handed back": lambda s: s.apply(rules.hand_back, "cannot_help", None, friend(1)),
        "released": lambda s: s.apply(rules.redispatch),
    }


@pytest.mark.parametrize("how", losing())
@pytest.mark.parametrize("by_hand", [False, True])
def test_who_lost_a_job_is_never_asked_for_it_again(how: str, by_hand: bool):
    scenario = Scenario(*friends(3)).book()
    if by_hand:
        scenario.apply(rules.award_by_hand, scenario.friends[friend(1).id])
    else:
        scenario.accept(scenario.live[0])
    losing()[how](scenario)
    assert scenario.asked == ["f2", "f3"]
    assert set(scenario.job.former) == {friend(1).id}
    while scenario.live:
        scenario.apply(rules.decline, scenario.live[0].id)
    scenario.advance(minutes=15).apply(fan_out.retry)
    assert scenario.state is BookingState.UNFILLED


def favourite_scenario(number=6, **changes):
    """Eight friends; the customer wants this one of them to be asked first."""
    changed = friend(number, **changes)
    others = (one for one in friends(8) if one.id != changed.id)
    return Scenario(*others, changed, favourite_id=changed.id)


def test_the_favourite_is_asked_first_and_alone_for_the_time_of_the_policy():
    scenario = favourite_scenario().book()
    (offer,) = scenario.live
    assert scenario.asked == ["f6"]
    assert (offer.slot, offer.slots) == (1, 1)
    assert offer.expires_at == NOW + scenario.policy.favourite_first_for
    assert scenario.job.timers == {TimerKind.OFFERS_EXPIRE: offer.expires_at}
    assert scenario.events[-1].data["favourite"] is True
    assert [m.template for m in scenario.applied[0].messages] == ["booked", "offer_for_you"]
    (decision,) = scenario.applied[0].decisions
    outcomes = [line.outcome for line in decision.friends]
    assert outcomes == [*[Outcome.FAVOURITE_FIRST] * 5, Outcome.OFFERED, *outcomes[:2]]
    assert decision.reach.counts == {Outcome.FAVOURITE_FIRST: 7, Outcome.OFFERED: 1}


def test_after_the_favourites_time_or_decline_all_rounds_of_the_policy_follow():
    for decline in (True, False):
        scenario = favourite_scenario().book()
        if decline:
            scenario.apply(rules.decline, scenario.live[0].id)
        else:
            scenario.advance(minutes=30)
            scenario.apply(fan_out.expire)
        assert scenario.asked == ["f1", "f2", "f3", "f4"]
        assert {(offer.round, offer.slots) for offer in scenario.live} == {(2, 4)}
        assert {offer.expires_at for offer in scenario.live} == {scenario.now + HOUR}
        assert "favourite" not in scenario.events[-1].data
        assert scenario.job.booking.round_limit == scenario.policy.rounds + 1


def test_a_package_may_leave_its_favourites_more_time():
    longer = Override(package="wifi-setup", numbers={"favourite_first_for": 2 * HOUR})
    scenario = favourite_scenario()
    scenario.policy = Policy(overrides=(longer,))
    assert scenario.book().live[0].expires_at == NOW + 2 * HOUR


@pytest.mark.parametrize("outcome", ALONE)
def test_a_favourite_who_may_not_be_asked_costs_no_time_and_the_decision_says_why(outcome):
    of_friend, of_need = ALONE[outcome]
    scenario = favourite_scenario(1, **of_friend)
    pending = rules.book(scenario.case())
    needs = tuple(replace(need, **of_need) for need in pending.needs)
    if outcome is Outcome.WRONG_TIER:
        needs = needs[:1]
    pending = replace(pending, needs=needs)
    everybody = scenario.friends.values()
    if outcome is Outcome.NOT_A_MEMBER:
        everybody = [replace(f, communities=f.communities | {CLUB}) for f in everybody]
        everybody[-1] = replace(everybody[-1], communities=frozenset())
    if outcome is Outcome.LEVEL_TOO_LOW:
        everybody = [replace(f, level=2) for f in everybody if f.id != friend(1).id]
        everybody.append(scenario.friends[friend(1).id])
    changes = fan_out.finish(pending, near(*everybody))
    assert [scenario.friends[o.friend_id].ref for o in changes.offers] == ["f2", "f3", "f4", "f5"]
    (decision,) = changes.decisions
    assert decision.friends[0][:2] == (friend(1).id, outcome)
    assert decision.inputs.friends[0].flags & inputs.FAVOURITE


def test_a_favourite_who_is_a_pro_is_asked_first_and_then_friends_before_other_pros():
    pros = [friend(n, tier=Tier.PRO) for n in (1, 2)]
    scenario = Scenario(*pros, friend(5), favourite_id=pros[1].id).book()
    assert scenario.asked == ["f2"]
    assert scenario.job.booking.tier is Tier.FRIEND
    scenario.apply(rules.decline, scenario.live[0].id)
    assert scenario.asked == ["f5"]


def test_a_favourite_who_fails_is_not_asked_first_again():
    scenario = favourite_scenario().award()
    assert scenario.job.award.friend_id == friend(6).id
    scenario.apply(rules.hand_back, "ill", None, scenario.friends[friend(6).id])
    assert scenario.asked == ["f1", "f2", "f3", "f4"]
