"""Between award and visit: who is notified, once, and what a new appointment clears."""

from datetime import timedelta

import pytest

from data.enums import Audience, TimerKind, Wish
from dispatch.rules.jobs import contact, matching, signature, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.jobs.visibility import customer_of, friend, visible_events
from dispatch.rules.policy import POLICY, Policy
from tests.builders import SIGNED
from tests.rules.facts import BOOKING, NOW, Scenario, friends
from tests.rules.test_job import DONE, HOUR


def scheduled() -> Scenario:
    scenario = Scenario(*friends(4)).contact()
    scenario.apply(rules.schedule, NOW + 30 * HOUR, NOW + 31 * HOUR, ())
    return scenario


def test_setting_out_is_early_until_two_hours_before_the_appointment():
    award = scheduled().job.award
    assert visit.leave_from(award, POLICY) == NOW + 28 * HOUR
    assert visit.leave_from(award, Policy(early_departure=HOUR)) == NOW + 29 * HOUR
    assert visit.leave_from(Scenario(*friends(4)).contact().job.award, POLICY) is None


def test_before_contact_the_friend_is_reminded_once_an_award():
    scenario = Scenario(*friends(4)).award()
    result = scenario.apply(visit.report_no_call)
    assert [m.template for m in result.messages] == ["customer_waits"]
    assert scenario.events[-1].data["claimed"] is False
    scenario.advance(hours=1)
    assert scenario.apply(visit.report_no_call) is None
    scenario.advance(hours=11).apply(rules.forfeit)
    scenario.accept(scenario.live[0])
    assert scenario.apply(visit.report_no_call) is not None


def test_under_way_a_dispute_goes_to_the_desk_only():
    scenario = Scenario(*friends(4)).contact()
    scenario.apply(rules.start)
    result = scenario.apply(visit.report_no_call)
    assert result.messages == ()
    assert scenario.job.timers == {}
    assert scenario.events[-1].data["claimed"] is True
    assert scenario.job.award.disputed_at == scenario.now


def test_a_second_report_after_a_confirmed_contact_goes_to_the_desk():
    scenario = Scenario(*friends(4)).award()
    scenario.apply(visit.report_no_call)
    scenario.advance(hours=1).apply(rules.confirm_contact)
    assert scenario.job.award.disputed_at is None
    scenario.apply(visit.report_no_call)
    assert scenario.events[-1].data["claimed"] is True
    assert scenario.job.award.disputed_at == scenario.now
    assert scenario.apply(visit.report_no_call) is None


def test_a_clock_set_back_does_not_prevent_the_report():
    scenario = Scenario(*friends(4)).contact()
    scenario.advance(hours=-1)
    scenario.apply(visit.report_no_call)
    scenario.apply(contact.confirm)
    scenario.apply(visit.mark_on_the_way)
    assert scenario.job.award.disputed_at == scenario.job.award.contacted_at == NOW
    assert scenario.job.award.on_the_way_at == NOW


def test_a_request_for_another_time_stands_until_the_friend_answers():
    scenario = scheduled()
    result = scenario.apply(visit.request_move, (Wish.EVENING,), "After six.")
    assert [m.template for m in result.messages] == ["move_asked"]
    assert result.move_note == "After six."
    assert scenario.job.award.move_wishes == (Wish.EVENING,)
    assert scenario.apply(visit.request_move, (Wish.EVENING,), None) is None
    again = scenario.apply(visit.request_move, (Wish.EVENING,), "After seven.")
    assert (again.events, again.move_note) == ((), "After seven.")
    scenario.apply(visit.mark_on_the_way)
    scenario.apply(rules.schedule, NOW + 34 * HOUR, NOW + 35 * HOUR, ())
    award = scenario.job.award
    assert (award.move_asked_at, award.move_wishes, award.on_the_way_at) == (None, (), None)
    assert scenario.applied[-1].move_note == ""


def test_a_friend_may_answer_a_request_with_the_old_time():
    scenario = scheduled()
    scenario.apply(visit.request_move, (), None)
    result = scenario.apply(rules.schedule, NOW + 30 * HOUR, NOW + 31 * HOUR, ())
    assert result is not None
    assert scenario.job.award.move_asked_at is None
    assert scenario.apply(rules.schedule, NOW + 30 * HOUR, NOW + 31 * HOUR, ()) is None


def test_the_customer_is_notified_once_that_the_friend_has_set_out():
    scenario = scheduled()
    result = scenario.apply(visit.mark_on_the_way)
    assert [m.template for m in result.messages] == ["on_the_way"]
    assert scenario.apply(visit.mark_on_the_way) is None
    scenario.apply(rules.start)
    assert scenario.apply(visit.mark_on_the_way) is None, "a phone may say it late"


def test_setting_out_can_be_taken_back_and_the_customer_learns_it():
    scenario = scheduled()
    assert scenario.apply(visit.take_back_on_the_way) is None
    scenario.apply(visit.mark_on_the_way)
    result = scenario.apply(visit.take_back_on_the_way)
    assert [m.template for m in result.messages] == ["not_on_the_way"]
    assert scenario.job.award.on_the_way_at is None
    assert scenario.apply(visit.take_back_on_the_way) is None
    result = scenario.apply(visit.mark_on_the_way)
    assert [m.template for m in result.messages] == ["on_the_way"]


def test_a_delay_is_reported_to_the_customer_once_and_cleared_by_a_new_appointment():
    scenario = scheduled()
    result = scenario.apply(visit.delay, 20)
    assert [(m.template, m.audience) for m in result.messages] == [("delayed", Audience.CUSTOMER)]
    assert [(e.kind, e.data["minutes"]) for e in result.events] == [("booking.delayed", 20)]
    assert scenario.apply(visit.delay, 20) is None
    assert scenario.apply(visit.delay, 45).events[0].data["minutes"] == 45
    assert scenario.job.award.marks == {"delayed_minutes": 45}
    scenario.apply(rules.schedule, NOW + 34 * HOUR, NOW + 35 * HOUR, ())
    assert scenario.job.award.marks == {}


def test_a_delay_needs_an_appointment_and_ends_with_the_visit():
    scenario = Scenario(*friends(4)).award()
    with pytest.raises(NotInThisState):
        scenario.apply(visit.delay, 20)
    scenario = scheduled()
    scenario.apply(rules.start)
    with pytest.raises(NotInThisState):
        scenario.apply(visit.delay, 20)


def test_each_stream_carries_only_its_part():
    scenario = scheduled()
    winner = friend(scenario.job.award.friend_id)
    scenario.apply(visit.request_move, (Wish.MORNING,), "Vera at Bahnhofstrasse 1")
    scenario.apply(visit.mark_on_the_way)
    scenario.now = NOW + 29 * HOUR
    scenario.apply(rules.cancel, "other", 1725)
    result = {
        (h.to, h.kind): h.data for event in scenario.events for h in visible_events(event, None)
    }
    assert result[winner, "appointment.move_asked"]["wishes"] == ["morning"]
    assert result[customer_of(BOOKING), "booking.on_the_way"] == {}
    assert result[customer_of(BOOKING), "booking.cancelled"] == {
        "reason": "other",
        "fee_minor": 1725,
    }
    assert result[winner, "booking.cancelled"] == {"share_minor": 1380}
    assert "Vera" not in str(result)


@pytest.mark.parametrize(
    ("away_m", "minutes"), [(0, 5), (100, 5), (1190, 5), (1200, 10), (20_000, 85)]
)
def test_travel_time_is_in_steps_of_five_minutes(away_m: int, minutes: int):
    assert matching.travel_minutes(away_m, POLICY) == minutes


def test_an_appointment_lasts_as_long_as_the_package_says():
    assert visit.appointment_end(NOW, 60) - NOW == timedelta(hours=1)


def test_a_signature_becomes_a_path_in_its_box():
    drawn = signature.path(300, 100, [[0, 0, 150.4, 50, 300, 100], [10, 20]])
    assert drawn == "M0 0L301 100L600 200M20 40L20 40"
    assert signature.path(100, 100, [[100, 100]]) == "M200 200L200 200"


def test_without_an_appointment_three_days_after_contact_both_are_reminded_once():
    scenario = Scenario(*friends(4)).contact()
    due = scenario.now + POLICY.agree_within
    assert scenario.job.timers == {TimerKind.AGREEMENT_DUE: due}
    scenario.advance(days=3)
    result = scenario.apply(visit.remind_agreement)
    assert {(m.template, m.audience) for m in result.messages} == {
        ("agree_appointment", Audience.FRIEND),
        ("not_agreed", Audience.CUSTOMER),
    }
    assert scenario.job.timers == {}


@pytest.mark.parametrize(
    "step",
    [
        (rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ()),
        (rules.start,),
        (rules.complete, DONE, SIGNED),
        (rules.mark_incomplete, "needs_parts", None),
        (rules.cancel, "mistake"),
    ],
    ids=lambda step: step[0].__name__,
)
def test_what_follows_a_contact_stops_that_reminder(step):
    scenario = Scenario(*friends(4)).contact()
    scenario.apply(*step)
    assert TimerKind.AGREEMENT_DUE not in scenario.job.timers
    assert scenario.apply(visit.remind_agreement).events == ()
