"""What one friend may do in a day, and what the desk allows otherwise."""

import pytest

from data.enums import FriendState
from dispatch.rules.jobs import job as rules
from dispatch.rules.policy import POLICY
from dispatch.rules.trust import limits
from dispatch.rules.trust.limits import BeyondLimit, PausedByAlarm, TooManyToday
from tests.rules.facts import NOW, Scenario, friend, friends

TAKEN = POLICY.jobs_per_day
BACK = POLICY.hand_backs_per_day


@pytest.mark.parametrize(
    ("changes", "most"), [({}, TAKEN), ({"jobs_per_day": 2}, 2), ({"jobs_per_day": 0}, 0)]
)
def test_a_friend_takes_no_more_jobs_in_a_day_than_policy_or_desk_allow(changes, most):
    scenario = Scenario(*friends(4)).book()
    offer = scenario.live[0]
    with pytest.raises(TooManyToday, match=f"at most {most} in 24 hours"):
        scenario.apply(rules.accept, offer.id, friend(1, taken=most, **changes))
    if most:
        scenario.apply(rules.accept, offer.id, friend(1, taken=most - 1, **changes))
        assert scenario.state == "awarded"


def test_the_desk_may_award_more_than_a_day_allows():
    scenario = Scenario(*friends(4)).book()
    scenario.apply(rules.award_by_hand, friend(1, taken=TAKEN))
    assert scenario.state == "awarded"


@pytest.mark.parametrize(
    ("before", "changes", "alarm"),
    [
        (BACK - 1, {}, False),
        (BACK, {}, True),
        (BACK, {"hand_backs_per_day": BACK + 1}, False),
        (0, {"hand_backs_per_day": 0}, True),
    ],
)
def test_a_job_can_always_be_handed_back_and_one_too_many_raises_the_alarm(before, changes, alarm):
    scenario = Scenario(*friends(4)).award()
    who = friend(1, handed_back=before, **changes)
    result = scenario.apply(rules.hand_back, "no_time", None, who)
    assert result.handed_back_by == who.id
    assert result.alarm is alarm
    assert scenario.state == "open"


def test_a_number_above_the_limit_may_stay_and_fall_and_not_rise():
    for wanted in (None, 4, 10, 12):
        limits.check_settable("capacity", wanted, now=12, most=10)
    with pytest.raises(BeyondLimit, match="set capacity to 10 at most"):
        limits.check_settable("capacity", 13, now=12, most=10)
    with pytest.raises(BeyondLimit):
        limits.check_settable("capacity", 11, now=3, most=10)


def test_a_friend_paused_by_an_alarm_stays_paused_until_the_desk_has_looked():
    limits.check_may_set(FriendState.PAUSED, alarmed_at=NOW)
    limits.check_may_set(FriendState.ACTIVE, alarmed_at=None)
    with pytest.raises(PausedByAlarm):
        limits.check_may_set(FriendState.ACTIVE, alarmed_at=NOW)
