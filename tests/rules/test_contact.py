"""A contact that the customer contests: a pause, the evidence, and a job that goes out again."""

from datetime import timedelta

import pytest

from data.enums import AwardState, BookingState, TimerKind
from data.records.jobs import Protocol
from dispatch.rules.jobs import contact, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.contact import ContactContest, Evidence
from dispatch.rules.jobs.refusals import (
    ContactContested,
    ContactDeadlinePassed,
    EvidenceUnfit,
    NotInThisState,
)
from dispatch.rules.policy import POLICY
from tests.builders import SIGNED
from tests.rules.facts import NOW, Scenario, friend, friends

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def contested() -> Scenario:
    """A friend claims contact, and the customer contests it."""
    scenario = Scenario(*friends(4)).contact()
    scenario.apply(visit.report_no_call)
    return scenario


def state(scenario: Scenario) -> ContactContest:
    return ContactContest(scenario.job.award.marks["contact_contest"])


def test_a_contest_pauses_the_job_and_sets_the_friend_a_deadline():
    scenario = Scenario(*friends(4)).contact()
    result = scenario.apply(visit.report_no_call)
    due = NOW + POLICY.answer_contest_within
    assert scenario.job.timers == {TimerKind.CONTACT_CONTESTED: due}
    assert state(scenario) is ContactContest.OPEN
    assert [(m.template, m.recipient_id) for m in result.messages] == [
        ("contact_contested", friend(1).id)
    ]
    assert result.events[-1].data["answer_by"] == due.isoformat()


@pytest.mark.parametrize(
    ("step", "args"),
    [
        (rules.schedule, (NOW + HOUR, NOW + 2 * HOUR, ())),
        (rules.start, ()),
        (rules.complete, (Protocol(summary="Done.", minutes=5), SIGNED)),
        (rules.mark_incomplete, ("other", None)),
        (visit.mark_on_the_way, ()),
    ],
)
def test_while_it_is_paused_the_friend_takes_no_other_step(step, args):
    scenario = contested()
    with pytest.raises(ContactContested):
        scenario.apply(step, *args)
    scenario.apply(contact.answer, NOW)
    assert scenario.apply(step, *args) is not None


def test_unanswered_it_goes_out_again_at_its_time_and_not_before():
    scenario = contested()
    scenario.now += POLICY.answer_contest_within - TICK
    scenario.apply(contact.expire)
    assert scenario.state is BookingState.CONTACTED
    assert scenario.job.timers == {TimerKind.CONTACT_CONTESTED: scenario.now + TICK}
    scenario.now += TICK
    result = scenario.apply(contact.expire)
    assert result.award.state is AwardState.RELEASED
    assert scenario.asked == ["f2", "f3", "f4"]
    assert scenario.friends[friend(1).id].open_jobs == 0
    templates = {m.template for m in result.messages}
    assert {"contact_unanswered", "friend_changed", "offer"} == templates
    assert TimerKind.CONTACT_CONTESTED not in scenario.job.timers


def test_the_time_of_a_call_ends_the_pause_and_starts_the_other_clock_anew():
    scenario = contested().advance(hours=2)
    result = scenario.apply(contact.answer, NOW + HOUR)
    assert state(scenario) is ContactContest.ANSWERED
    assert scenario.job.timers == {TimerKind.AGREEMENT_DUE: scenario.now + POLICY.agree_within}
    assert [m.template for m in result.messages] == ["contact_answered"]
    assert contact.is_disputed(scenario.job.award), "cancelling stays free until it is settled"
    assert scenario.apply(contact.answer, NOW) is None
    scenario.advance(hours=12).apply(contact.expire)
    assert scenario.state is BookingState.CONTACTED


@pytest.mark.parametrize("called_at", [NOW - TICK, NOW + HOUR + TICK])
def test_a_call_before_the_award_or_in_the_future_is_no_evidence(called_at):
    scenario = contested().advance(hours=1)
    with pytest.raises(EvidenceUnfit):
        scenario.apply(contact.answer, called_at)
    assert state(scenario) is ContactContest.OPEN


def test_a_message_that_has_reached_the_customer_ends_the_pause_and_no_other():
    scenario = contested().advance(hours=1)
    with pytest.raises(EvidenceUnfit, match="answered a message"):
        scenario.apply(contact.answer, None)
    assert state(scenario) is ContactContest.OPEN
    result = scenario.apply(lambda case: contact.answer(case, None, reached=True))
    assert state(scenario) is ContactContest.ANSWERED
    data = {"friend": str(friend(1).id), "evidence": Evidence.MESSAGES}
    assert result.events[-1].data == data
    assert scenario.job.timers == {TimerKind.AGREEMENT_DUE: scenario.now + POLICY.agree_within}
    assert scenario.apply(contact.answer, None) is None


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(
    ("settle", "evidence"),
    [(contact.confirm, Evidence.CUSTOMER), (contact.settle, Evidence.DESK)],
)
def test_the_customer_or_the_desk_settles_it(settle, evidence, answered):
    scenario = contested()
    if answered:
        scenario.apply(contact.answer, NOW)
    result = scenario.apply(settle)
    assert state(scenario) is ContactContest.SETTLED
    assert result.events[-1].data["evidence"] == evidence
    assert [m.template for m in result.messages] == ["contact_settled"]
    assert not contact.is_disputed(scenario.job.award)
    assert scenario.job.timers == {TimerKind.AGREEMENT_DUE: NOW + POLICY.agree_within}
    assert scenario.apply(settle) is None
    assert scenario.apply(visit.report_no_call) is None, "it is contested once"


def test_a_new_appointment_leaves_the_contest_settled():
    scenario = contested()
    scenario.apply(contact.settle)
    scenario.apply(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ())
    assert not contact.is_disputed(scenario.job.award)


def test_the_customers_word_counts_as_contact_before_the_deadline_and_not_at_it():
    scenario = Scenario(*friends(4)).award()
    scenario.now += POLICY.contact_within - TICK
    result = scenario.apply(contact.confirm)
    assert scenario.state is BookingState.CONTACTED
    assert result.events[-1].data["evidence"] == Evidence.CUSTOMER
    assert result.messages == (), "nobody is told what they have said themselves"
    assert scenario.apply(contact.confirm) is None
    late = Scenario(*friends(4)).award()
    late.now += POLICY.contact_within
    with pytest.raises(ContactDeadlinePassed):
        late.apply(contact.confirm)


def test_without_a_contest_there_is_nothing_to_answer_or_to_decide():
    scenario = Scenario(*friends(4)).contact()
    for step, args in [(contact.answer, (NOW,)), (contact.settle, ())]:
        with pytest.raises(NotInThisState, match="no objection is open"):
            scenario.apply(step, *args)
    with pytest.raises(NotInThisState):
        Scenario(*friends(4)).book().apply(contact.settle)


def test_a_job_handed_back_or_cancelled_meanwhile_has_no_deadline_left():
    for step, args in [
        (rules.hand_back, ("no_time", None, friend(1))),
        (rules.cancel, ("other",)),
        (rules.redispatch, ()),
    ]:
        scenario = contested()
        scenario.apply(step, *args)
        assert TimerKind.CONTACT_CONTESTED not in scenario.job.timers
