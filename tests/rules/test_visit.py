"""From the award to the door: what is told to whom, once, and what a new appointment takes back."""

from datetime import timedelta

import pytest

from data.enums import Audience, Wish
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs import matching, signature, visit
from dispatch.rules.jobs.refusals import NotInThisState
from dispatch.rules.jobs.visibility import customer_of, friend, visible_events
from dispatch.rules.policy import POLICY
from tests.rules.facts import BOOKING, NOW, Story, friends
from tests.rules.test_job import HOUR


def scheduled() -> Story:
    story = Story(*friends(4)).contacted()
    story.tell(rules.schedule, NOW + 30 * HOUR, NOW + 31 * HOUR, ())
    return story


def test_before_contact_the_friend_is_reminded_once_an_award():
    story = Story(*friends(4)).awarded()
    told = story.tell(visit.report_no_call)
    assert [m.template for m in told.messages] == ["customer_waits"]
    assert story.events[-1].data["claimed"] is False
    story.later(hours=1)
    assert story.tell(visit.report_no_call) is None
    story.later(hours=11).tell(rules.forfeit)
    story.accepts(story.live[0])
    assert story.tell(visit.report_no_call) is not None


def test_after_a_claimed_contact_the_desk_hears_and_the_friend_gets_no_letter():
    story = Story(*friends(4)).contacted()
    told = story.tell(visit.report_no_call)
    assert told.messages == ()
    assert story.events[-1].data["claimed"] is True
    assert story.job.award.disputed_at == story.now


def test_who_was_reminded_and_only_claims_to_have_called_is_looked_into_by_the_desk():
    story = Story(*friends(4)).awarded()
    story.tell(visit.report_no_call)
    story.later(hours=1).tell(rules.confirm_contact)
    assert story.job.award.disputed_at is None
    story.tell(visit.report_no_call)
    assert story.events[-1].data["claimed"] is True
    assert story.job.award.disputed_at == story.now
    assert story.tell(visit.report_no_call) is None


def test_a_clock_set_back_keeps_nobody_from_saying_so():
    story = Story(*friends(4)).contacted()
    story.later(hours=-1)
    story.tell(visit.report_no_call)
    story.tell(visit.mark_on_the_way)
    assert story.job.award.disputed_at == story.job.award.contacted_at == NOW
    assert story.job.award.on_the_way_at == NOW


def test_another_time_is_asked_for_until_the_friend_answers():
    story = scheduled()
    told = story.tell(visit.request_move, (Wish.EVENING,), "After six.")
    assert [m.template for m in told.messages] == ["move_asked"]
    assert told.move_note == "After six."
    assert story.job.award.move_wishes == (Wish.EVENING,)
    assert story.tell(visit.request_move, (Wish.EVENING,), None) is None
    again = story.tell(visit.request_move, (Wish.EVENING,), "After seven.")
    assert (again.events, again.move_note) == ((), "After seven.")
    story.tell(visit.mark_on_the_way)
    story.tell(rules.schedule, NOW + 34 * HOUR, NOW + 35 * HOUR, ())
    award = story.job.award
    assert (award.move_asked_at, award.move_wishes, award.on_the_way_at) == (None, (), None)
    assert story.told[-1].move_note == ""


def test_a_friend_who_cannot_move_it_says_the_old_time_again():
    story = scheduled()
    story.tell(visit.request_move, (), None)
    told = story.tell(rules.schedule, NOW + 30 * HOUR, NOW + 31 * HOUR, ())
    assert told is not None
    assert story.job.award.move_asked_at is None
    assert story.tell(rules.schedule, NOW + 30 * HOUR, NOW + 31 * HOUR, ()) is None


def test_setting_out_is_told_to_the_customer_once():
    story = scheduled()
    told = story.tell(visit.mark_on_the_way)
    assert [m.template for m in told.messages] == ["on_the_way"]
    assert story.tell(visit.mark_on_the_way) is None
    story.tell(rules.start)
    assert story.tell(visit.mark_on_the_way) is None, "a phone may say it late"


def test_a_delay_is_reported_to_the_customer_once_and_cleared_by_a_new_appointment():
    story = scheduled()
    told = story.tell(visit.delay, 20)
    assert [(m.template, m.audience) for m in told.messages] == [("delayed", Audience.CUSTOMER)]
    assert [(e.kind, e.data["minutes"]) for e in told.events] == [("booking.delayed", 20)]
    assert story.tell(visit.delay, 20) is None
    assert story.tell(visit.delay, 45).events[0].data["minutes"] == 45
    assert story.job.award.marks == {"delayed_minutes": 45}
    story.tell(rules.schedule, NOW + 34 * HOUR, NOW + 35 * HOUR, ())
    assert story.job.award.marks == {}


def test_a_delay_needs_an_appointment_and_ends_with_the_visit():
    story = Story(*friends(4)).awarded()
    with pytest.raises(NotInThisState):
        story.tell(visit.delay, 20)
    story = scheduled()
    story.tell(rules.start)
    with pytest.raises(NotInThisState):
        story.tell(visit.delay, 20)


def test_streams_tell_each_his_part():
    story = scheduled()
    winner = friend(story.job.award.friend_id)
    story.tell(visit.request_move, (Wish.MORNING,), "Vera at Bahnhofstrasse 1")
    story.tell(visit.mark_on_the_way)
    story.now = NOW + 29 * HOUR
    story.tell(rules.cancel, "other", 1725)
    told = {(h.to, h.kind): h.data for event in story.events for h in visible_events(event, None)}
    assert told[winner, "appointment.move_asked"]["wishes"] == ["morning"]
    assert told[customer_of(BOOKING), "booking.on_the_way"] == {}
    assert told[customer_of(BOOKING), "booking.cancelled"] == {"reason": "other", "fee_minor": 1725}
    assert told[winner, "booking.cancelled"] == {"share_minor": 1380}
    assert "Vera" not in str(told)


@pytest.mark.parametrize(
    ("away_m", "minutes"), [(0, 5), (100, 5), (1190, 5), (1200, 10), (20_000, 85)]
)
def test_a_way_is_told_in_steps_of_five_minutes(away_m: int, minutes: int):
    assert matching.travel_minutes(away_m, POLICY) == minutes


def test_an_appointment_lasts_as_long_as_the_package_says():
    assert visit.appointment_end(NOW, 60) - NOW == timedelta(hours=1)


def test_a_signature_becomes_a_path_in_its_box():
    drawn = signature.path(300, 100, [[0, 0, 150.4, 50, 300, 100], [10, 20]])
    assert drawn == "M0 0L301 100L600 200M20 40L20 40"
    assert signature.path(100, 100, [[100, 100]]) == "M200 200L200 200"
