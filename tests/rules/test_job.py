from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from data.enums import (
    AwardState,
    BookingState,
    FriendState,
    OfferState,
    TimerKind,
)
from data.markets import Currency
from data.records.ids import FriendId
from data.records.jobs import Appointment, Protocol
from data.records.money import Money
from dispatch.rules.jobs import fan_out
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    AppointmentTooLong,
    AppointmentUnfit,
    AtCapacity,
    CompletedTooEarly,
    ContactDeadlinePassed,
    FriendUnfit,
    OfferExpired,
    OfferGone,
)
from tests.builders import SIGNED
from tests.rules.facts import NOW, VERA, Scenario, friend, friends

DONE = Protocol(summary="New channel.", minutes=40)
TICK = timedelta(microseconds=1)


def test_the_first_to_accept_wins_and_the_others_lose_in_the_same_moment():
    scenario = Scenario(*friends(4)).book()
    scenario.accept(scenario.live[2])
    assert scenario.state is BookingState.AWARDED
    assert scenario.offers(OfferState.ACCEPTED) == ["f3"]
    assert sorted(scenario.offers(OfferState.LOST)) == ["f1", "f2", "f4"]
    assert scenario.friends[FriendId(UUID(int=3))].open_jobs == 1
    award = scenario.job.award
    assert award is not None
    assert award.contact_due_at - award.awarded_at == timedelta(seconds=43_200)
    assert scenario.job.timers == {
        TimerKind.CONTACT_DEADLINE: award.contact_due_at,
        TimerKind.CONTACT_REMINDER: award.contact_due_at - timedelta(hours=4),
    }


def test_a_repeated_accept_of_the_holder_changes_nothing():
    scenario = Scenario(*friends(4)).award()
    accepted = next(o for o in scenario.job.offers if o.state is OfferState.ACCEPTED)
    winner = scenario.friends[accepted.friend_id]
    for step in (
        rules.confirm_contact,
        rules.start,
        lambda case: rules.complete(case, DONE, SIGNED),
    ):
        assert scenario.apply(rules.accept, accepted.id, winner) is None
        scenario.apply(step)
    assert scenario.apply(rules.accept, accepted.id, winner) is None


@pytest.mark.parametrize("answer", [rules.accept, rules.decline])
def test_an_offer_is_answered_until_the_moment_it_expires(answer):
    scenario = Scenario(*friends(4)).book()
    offer = scenario.live[0]
    args = (offer.id, scenario.friends[offer.friend_id])[: 2 if answer is rules.accept else 1]
    scenario.now = offer.expires_at
    with pytest.raises(OfferExpired):
        scenario.apply(answer, *args)
    scenario.now = offer.expires_at - TICK
    assert scenario.apply(answer, *args) is not None


@pytest.mark.parametrize(
    ("ending", "refusal"),
    [
        (lambda s: s.accept(s.live[1]), OfferGone),
        (lambda s: s.apply(rules.cancel, "changed_mind"), OfferGone),
        (lambda s: s.apply(rules.award_by_hand, friend(9)), OfferGone),
        (lambda s: s.advance(minutes=60).apply(fan_out.expire), OfferExpired),
        (lambda s: s.apply(rules.decline, s.live[0].id), OfferGone),
    ],
)
def test_a_closed_offer_cannot_be_accepted(ending, refusal):
    scenario = Scenario(*friends(4), friend(9)).book()
    offer = scenario.live[0]
    ending(scenario)
    with pytest.raises(refusal):
        scenario.apply(rules.accept, offer.id, scenario.friends[offer.friend_id])


def test_a_friend_at_capacity_cannot_accept():
    scenario = Scenario(*friends(4)).book()
    full = replace(scenario.friends[scenario.live[0].friend_id], open_jobs=3)
    with pytest.raises(AtCapacity, match="3 open jobs"):
        scenario.apply(rules.accept, scenario.live[0].id, full)


def test_a_suspended_friend_cannot_accept():
    scenario = Scenario(*friends(4)).book()
    gone = replace(scenario.friends[scenario.live[0].friend_id], state=FriendState.SUSPENDED)
    with pytest.raises(OfferGone):
        scenario.apply(rules.accept, scenario.live[0].id, gone)


def test_a_job_is_forfeited_exactly_twelve_hours_after_the_award():
    scenario = Scenario(*friends(6)).award()
    due = scenario.job.timers[TimerKind.CONTACT_DEADLINE]
    scenario.now = due - TICK
    early = scenario.apply(rules.forfeit)
    assert early is not None
    assert early.timers == {TimerKind.CONTACT_DEADLINE: due}
    assert (early.award, early.events) == (None, ())
    scenario.now = due
    with pytest.raises(ContactDeadlinePassed):
        scenario.apply(rules.confirm_contact)
    result = scenario.apply(rules.forfeit)
    assert result is not None
    assert result.open_jobs == {friend(1).id: -1}
    assert result.award is not None
    assert result.award.state is AwardState.FORFEITED
    assert scenario.offers(OfferState.FORFEITED) == ["f1"]
    assert scenario.asked == ["f2", "f3", "f4", "f5"]
    assert scenario.friends[friend(1).id].open_jobs == 0


def test_a_clock_set_back_after_the_award_does_not_prevent_contact():
    scenario = Scenario(*friends(4)).award()
    scenario.advance(hours=-1)
    result = scenario.apply(rules.confirm_contact)
    assert result is not None
    assert result.award is not None
    assert result.award.contacted_at == result.award.awarded_at


def test_contact_in_the_last_moment_keeps_the_job():
    scenario = Scenario(*friends(4)).award()
    scenario.now = scenario.job.timers[TimerKind.CONTACT_DEADLINE] - TICK
    scenario.apply(rules.confirm_contact)
    assert scenario.state is BookingState.CONTACTED
    assert scenario.job.timers == {
        TimerKind.AGREEMENT_DUE: scenario.now + scenario.policy.agree_within
    }
    assert scenario.apply(rules.confirm_contact) is None
    scenario.advance(hours=1)
    result = scenario.apply(rules.forfeit)
    assert result is not None
    assert (result.award, result.events) == (None, ())


def test_reminders_come_four_hours_and_one_hour_before():
    scenario = Scenario(*friends(4)).award()
    reminded = []
    while TimerKind.CONTACT_REMINDER in scenario.job.timers:
        scenario.now = scenario.job.timers[TimerKind.CONTACT_REMINDER]
        scenario.apply(rules.remind)
        reminded.append(scenario.now - NOW)
    assert reminded == [timedelta(hours=8), timedelta(hours=11)]


def test_reminders_that_come_late_come_once():
    scenario = Scenario(*friends(4)).award()
    scenario.advance(hours=11, minutes=30).apply(rules.remind)
    assert TimerKind.CONTACT_REMINDER not in scenario.job.timers
    assert scenario.kinds.count("contact.reminded") == 1


@pytest.mark.parametrize("rule", [rules.remind, rules.forfeit, fan_out.retry])
def test_an_obsolete_timer_is_only_removed(rule):
    scenario = Scenario(*friends(4)).contact()
    result = scenario.apply(rule)
    assert result is not None
    assert (result.events, result.award, result.offers) == ((), None, ())


def test_a_job_handed_back_keeps_the_reason_and_others_are_asked():
    scenario = Scenario(*friends(6)).contact()
    result = scenario.apply(rules.hand_back, "cannot_help", "No fibre tester.", friend(1))
    assert result is not None
    assert result.award is not None
    assert result.award.protocol == Protocol(summary="No fibre tester.", minutes=0)
    assert result.events[0].data["reason"] == "cannot_help"
    assert scenario.asked == ["f2", "f3", "f4", "f5"]


@pytest.mark.parametrize(
    "take_back",
    [
        lambda job: job.apply(rules.hand_back, "cannot_help", None, friend(1)),
        lambda job: job.apply(rules.cancel, "other", 10_000),
        lambda job: job.apply(rules.redispatch),
        lambda job: (
            job.apply(rules.confirm_contact) and job.apply(rules.mark_incomplete, "x", DONE)
        ),
        lambda job: job.advance(hours=12).apply(rules.forfeit),
    ],
)
def test_an_accept_repeated_after_the_job_was_taken_back_finds_the_offer_gone(take_back):
    scenario = Scenario(*friends(6)).award()
    again = (scenario.job.award.offer_id, scenario.friends[scenario.job.award.friend_id])
    assert scenario.apply(rules.accept, *again) is None
    assert take_back(scenario) is not None
    with pytest.raises(OfferGone):
        scenario.apply(rules.accept, *again)


def test_the_desk_may_take_a_job_from_its_friend_who_is_notified():
    scenario = Scenario(*friends(6)).contact()
    result = scenario.apply(rules.redispatch)
    assert result is not None
    assert {m.template for m in result.messages} >= {"job_cancelled", "friend_changed", "offer"}
    assert "f1" not in scenario.asked


def test_an_incomplete_job_is_offered_to_others():
    scenario = Scenario(*friends(6)).contact()
    scenario.apply(rules.mark_incomplete, "needs_parts", DONE)
    assert scenario.state is BookingState.INCOMPLETE
    assert scenario.job.booking.award_id is None
    scenario.apply(rules.redispatch)
    assert scenario.asked == ["f2", "f3", "f4", "f5"]


def test_an_award_by_hand_withdraws_the_offers_and_starts_the_twelve_hours():
    scenario = Scenario(*friends(4), friend(9, certificates=())).book()
    result = scenario.apply(rules.award_by_hand, scenario.friends[friend(9).id])
    assert result is not None
    assert len(scenario.offers(OfferState.WITHDRAWN)) == 4
    assert scenario.job.award is not None
    assert scenario.job.award.offer_id is None
    assert scenario.job.timers[TimerKind.CONTACT_DEADLINE] == NOW + timedelta(hours=12)


def test_a_friend_awarded_by_hand_gets_no_message_that_the_offer_is_gone():
    scenario = Scenario(*friends(4)).book()
    winner = scenario.job.live[0].friend_id
    result = scenario.apply(rules.award_by_hand, scenario.friends[winner])
    gone = {m.recipient_id for m in result.messages if m.template == "offer_gone"}
    assert len(gone) == 3
    assert winner not in gone


@pytest.mark.parametrize(
    "changes",
    [
        {"state": FriendState.PAUSED},
        {"state": FriendState.SUSPENDED},
        {"open_jobs": 3},
        {"channels": frozenset()},
        {"blocked": frozenset({VERA})},
    ],
)
def test_the_desk_cannot_award_a_job_to_an_unfit_friend(changes):
    scenario = Scenario(*friends(4), friend(9, **changes)).book()
    with pytest.raises(FriendUnfit) as refused:
        scenario.apply(rules.award_by_hand, scenario.friends[friend(9).id])
    assert refused.value.field == "friend"


def test_an_unfilled_booking_can_be_awarded_by_hand():
    scenario = Scenario(friend(9, certificates=())).book()
    scenario.apply(rules.award_by_hand, scenario.friends[friend(9).id])
    assert scenario.state is BookingState.AWARDED
    assert TimerKind.RETRY not in scenario.job.timers


HOUR = timedelta(hours=1)


def test_an_appointment_is_agreed_and_moved_with_a_rising_revision():
    scenario = Scenario(*friends(4)).contact()
    scenario.apply(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ())
    assert scenario.state is BookingState.SCHEDULED
    first = scenario.job.award.appointment
    assert scenario.apply(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ()) is None
    result = scenario.apply(rules.schedule, NOW + 2 * HOUR, NOW + 3 * HOUR, ())
    assert result.award.appointment.revision > first.revision
    assert {m.audience for m in result.messages} == {"friend", "customer"}


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (-HOUR, HOUR),
        (timedelta(0), HOUR),
        (2 * HOUR, HOUR),
        (HOUR, HOUR),
        (timedelta(days=59, hours=23), timedelta(days=60, microseconds=1)),
    ],
)
def test_an_appointment_that_cannot_be_kept_is_refused(begin, end):
    scenario = Scenario(*friends(4)).contact()
    with pytest.raises(AppointmentUnfit):
        scenario.apply(rules.schedule, NOW + begin, NOW + end, ())


def test_an_appointment_lasts_at_most_a_day_and_the_end_is_named():
    scenario = Scenario(*friends(4)).contact()
    begin, day = NOW + HOUR, timedelta(hours=24)
    for too_long in (day + timedelta(microseconds=1), timedelta(days=15)):
        with pytest.raises(AppointmentTooLong, match="within 24 hours") as refused:
            scenario.apply(rules.schedule, begin, begin + too_long, ())
        assert refused.value.field == "ends_at"
    assert scenario.apply(rules.schedule, begin, begin + day, ()) is not None


@pytest.mark.parametrize(
    ("begin", "end", "overlaps"),
    [(1, 2, False), (1, 2.1, True), (2.5, 2.6, True), (1, 4, True), (2.9, 4, True), (3, 4, False)],
)
def test_two_appointments_of_a_friend_may_touch_but_not_overlap(begin, end, overlaps):
    scenario = Scenario(*friends(4)).contact()
    other = Appointment(starts_at=NOW + 2 * HOUR, ends_at=NOW + 3 * HOUR, revision=1)
    wish = (NOW + begin * HOUR, NOW + end * HOUR, (other,))
    if overlaps:
        with pytest.raises(AppointmentOverlaps):
            scenario.apply(rules.schedule, *wish)
    else:
        assert scenario.apply(rules.schedule, *wish) is not None


def test_a_completed_job_is_charged_once_and_frees_its_friend():
    scenario = Scenario(*friends(4)).contact()
    result = scenario.apply(rules.complete, DONE, SIGNED)
    assert result is not None
    assert result.charge is not None
    assert result.charge.price == Money(amount=6900, currency=Currency.CHF)
    assert result.charge.pay == Money(amount=5520, currency=Currency.CHF)
    assert result.open_jobs == {friend(1).id: -1}
    assert scenario.job.award is not None
    assert scenario.job.award.state is AwardState.DONE
    assert scenario.apply(rules.complete, DONE, SIGNED) is None


@pytest.mark.parametrize("until", [Scenario.book, Scenario.award, Scenario.contact])
def test_a_cancelled_booking_has_no_offers_timers_or_award(until):
    scenario = until(Scenario(*friends(4)))
    scenario.apply(rules.cancel, "changed_mind")
    assert scenario.state is BookingState.CANCELLED
    assert scenario.live == []
    assert scenario.job.timers == {}
    assert scenario.job.award is None
    assert {f.open_jobs for f in scenario.friends.values()} == {0}
    assert scenario.apply(rules.cancel, "changed_mind") is None


def test_the_response_to_a_repeated_accept_never_changes():
    scenario = Scenario(*friends(4)).award()
    first = rules.initial_award(scenario.job.award)
    scenario.advance(hours=1).apply(rules.confirm_contact)
    scenario.apply(rules.schedule, scenario.now + HOUR, scenario.now + 2 * HOUR, ())
    scenario.apply(rules.start)
    scenario.apply(rules.complete, DONE, SIGNED)
    assert rules.initial_award(scenario.job.award) == first


def early(until: str) -> Scenario:
    """A job of an hour that began at NOW, by a call, a start or an appointment two hours on."""
    scenario = Scenario(*friends(4)).contact()
    if until == "appointment":
        scenario.apply(rules.schedule, NOW + 2 * HOUR, NOW + 3 * HOUR, ())
    if until == "start":
        scenario.apply(rules.schedule, NOW + 2 * HOUR, NOW + 3 * HOUR, ())
        scenario.apply(rules.start)
    return scenario


@pytest.mark.parametrize(
    ("until", "minutes"), [("contact", 15), ("start", 15), ("appointment", 135)]
)
def test_a_job_is_not_completed_before_a_visit_was_possible(until, minutes):
    possible_at = NOW + timedelta(minutes=minutes)
    for wait in (timedelta(0), possible_at - NOW - TICK):
        scenario = early(until)
        scenario.now += wait
        with pytest.raises(CompletedTooEarly, match=f"from {possible_at:%Y-%m-%dT%H:%M:%SZ} on"):
            scenario.apply(rules.complete, DONE)
    scenario.now = possible_at
    assert scenario.apply(rules.complete, DONE) is not None


@pytest.mark.parametrize("until", ["contact", "start", "appointment"])
def test_with_the_signature_of_the_customer_a_job_is_completed_at_any_moment(until):
    assert early(until).apply(rules.complete, DONE, SIGNED) is not None
