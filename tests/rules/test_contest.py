from datetime import timedelta

import pytest

from data.enums import AwardState, BookingState
from data.records.jobs import Protocol
from dispatch.rules.jobs import contest as contests
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs import reviews
from dispatch.rules.jobs.contest import Contest
from dispatch.rules.jobs.reasons import ContestReason
from dispatch.rules.jobs.refusals import AlreadyRated, ContestOver, NotInThisState
from dispatch.rules.policy import POLICY
from tests.builders import SIGNED
from tests.rules.facts import Scenario, friend, friends

DONE = Protocol(summary="New channel.", minutes=40)
TICK = timedelta(microseconds=1)


def completed(count: int = 4) -> Scenario:
    scenario = Scenario(*friends(count)).contact()
    scenario.apply(rules.complete, DONE, SIGNED)
    return scenario


def contested(count: int = 4) -> Scenario:
    scenario = completed(count)
    scenario.apply(contests.contest, ContestReason.NOBODY_CAME)
    return scenario


def test_a_completion_is_contested_once_and_within_the_time_of_the_policy():
    scenario = completed()
    scenario.now += POLICY.contest_within - TICK
    result = scenario.apply(contests.contest, ContestReason.NOBODY_CAME)
    assert [(e.kind, e.data["reason"]) for e in result.events] == [
        ("completion.contested", "nobody_came")
    ]
    assert {m.template for m in result.messages} == {"contested"}
    assert len(result.messages) == 2
    assert scenario.state is BookingState.COMPLETED
    assert scenario.apply(contests.contest, ContestReason.OTHER) is None
    scenario.apply(contests.uphold)
    with pytest.raises(ContestOver):
        scenario.apply(contests.contest, ContestReason.OTHER)
    late = completed()
    late.now += POLICY.contest_within
    with pytest.raises(ContestOver):
        late.apply(contests.contest, ContestReason.OTHER)


def test_an_upheld_completion_stays_charged_and_done():
    scenario = contested()
    result = scenario.apply(contests.uphold)
    assert (result.charge, result.reversed_at, dict(result.open_jobs)) == (None, None, {})
    assert scenario.job.award.marks == {"contest": Contest.UPHELD}
    assert scenario.apply(contests.uphold) is None
    with pytest.raises(NotInThisState, match="no objection is open"):
        scenario.apply(contests.reopen)


@pytest.mark.parametrize("step", [contests.uphold, contests.reopen])
def test_without_an_objection_there_is_nothing_to_decide(step):
    with pytest.raises(NotInThisState, match="no objection is open"):
        completed().apply(step)


def test_a_reopened_job_is_reversed_and_offered_to_others_and_charged_anew():
    scenario = contested()
    result = scenario.apply(contests.reopen)
    assert result.reversed_at == scenario.now
    assert result.charge is None
    assert result.award.state is AwardState.RELEASED
    assert scenario.state is BookingState.OPEN
    assert friend(1).id not in {offer.friend_id for offer in scenario.live}
    assert {one.open_jobs for one in scenario.friends.values()} == {0}
    scenario.accept(scenario.live[0])
    scenario.apply(rules.confirm_contact)
    again = scenario.apply(rules.complete, DONE, SIGNED)
    assert again.charge is not None
    assert again.charge.friend_id == friend(2).id


def test_a_reopened_job_can_be_given_back_to_the_same_friend_by_hand():
    scenario = contested(1)
    scenario.apply(contests.reopen)
    assert scenario.state is BookingState.UNFILLED
    scenario.apply(rules.award_by_hand, scenario.friends[friend(1).id])
    assert scenario.job.award.friend_id == friend(1).id
    assert scenario.job.award.marks == {}


def test_a_completion_after_a_reopening_is_rated_anew_and_once():
    scenario = completed()
    scenario.apply(reviews.rate, 5, None)
    scenario.apply(contests.contest, ContestReason.OTHER)
    scenario.apply(contests.reopen)
    assert not scenario.job.rated
    scenario.accept(scenario.live[0])
    scenario.apply(rules.confirm_contact)
    scenario.apply(rules.complete, DONE, SIGNED)
    assert scenario.apply(reviews.rate, 2, None).rating.stars == 2
    with pytest.raises(AlreadyRated):
        scenario.apply(reviews.rate, 3, None)
