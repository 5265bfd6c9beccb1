"""A booking that nobody vouches for: nobody is asked before the mail address is confirmed."""

from uuid import UUID

import pytest

from data.enums import BookingState, Channel, TimerKind
from data.records.ids import BookingId
from dispatch.rules.jobs import confirmation
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.refusals import NotInThisState, TooManyCodes
from dispatch.rules.policy import POLICY
from dispatch.rules.trust import mailed_secrets
from dispatch.rules.trust.mailed_secrets import Proof
from tests.rules.facts import BOOKING, NOW, Scenario, friends

SECRET = b"s" * 32
OTHER = BookingId(UUID(int=77))


def held() -> Scenario:
    scenario = Scenario(*friends(6))
    scenario.apply(confirmation.hold)
    return scenario


def letters(scenario: Scenario) -> list[tuple[str, Channel]]:
    return [(m.template, m.channel) for c in scenario.applied for m in c.messages]


def test_an_unconfirmed_booking_asks_nobody_and_sends_one_letter():
    scenario = held()
    assert scenario.state is BookingState.UNCONFIRMED
    assert scenario.live == []
    assert letters(scenario) == [("confirm_booking", Channel.MAIL)]
    assert scenario.job.timers == {TimerKind.CONFIRMATION_DUE: NOW + POLICY.confirm_within}


@pytest.mark.parametrize("given", [Proof.CODE, Proof.LINK])
def test_once_confirmed_the_nearest_are_asked_and_the_contact_is_known(given: Proof):
    scenario = held().advance(minutes=5)
    changes = scenario.apply(confirmation.confirm, given)
    assert scenario.asked == ["f1", "f2", "f3", "f4"]
    assert scenario.state is BookingState.OPEN
    assert changes.confirmed_at == scenario.now
    assert TimerKind.CONFIRMATION_DUE not in scenario.job.timers
    assert ("booked", Channel.MAIL) in letters(scenario)
    assert scenario.apply(confirmation.confirm, given) is None


def test_without_helpers_a_confirmed_booking_is_unfilled():
    scenario = Scenario()
    scenario.apply(confirmation.hold)
    scenario.apply(confirmation.confirm, Proof.CODE)
    assert scenario.state is BookingState.UNFILLED


def test_after_too_many_wrong_codes_only_the_link_confirms():
    scenario = held()
    for _ in range(POLICY.wrong_codes_max):
        scenario.apply(confirmation.confirm, Proof.NONE)
    assert scenario.state is BookingState.UNCONFIRMED
    for given in (Proof.NONE, Proof.CODE):
        with pytest.raises(TooManyCodes):
            scenario.apply(confirmation.confirm, given)
    scenario.apply(confirmation.confirm, Proof.LINK)
    assert scenario.state is BookingState.OPEN


def test_unconfirmed_in_time_it_is_cancelled_without_another_letter():
    scenario = held().advance(hours=24)
    scenario.apply(confirmation.expire)
    assert scenario.state is BookingState.CANCELLED
    assert letters(scenario) == [("confirm_booking", Channel.MAIL)]
    assert scenario.job.timers == {}
    with pytest.raises(NotInThisState):
        scenario.apply(confirmation.confirm, Proof.LINK)


def test_cancelled_by_the_customer_an_unconfirmed_booking_sends_no_other_letter():
    scenario = held()
    scenario.apply(rules.cancel, "mistake")
    assert scenario.state is BookingState.CANCELLED
    assert letters(scenario) == [("confirm_booking", Channel.MAIL)]


def test_the_deadline_of_a_confirmed_booking_changes_nothing():
    scenario = held()
    scenario.apply(confirmation.confirm, Proof.CODE)
    scenario.apply(confirmation.expire)
    assert scenario.state is BookingState.OPEN


def test_the_desk_can_let_an_unconfirmed_booking_be_offered():
    scenario = held()
    scenario.apply(rules.redispatch)
    assert scenario.asked == ["f1", "f2", "f3", "f4"]
    assert TimerKind.CONFIRMATION_DUE not in scenario.job.timers


def test_code_and_link_prove_only_their_own_booking():
    made = mailed_secrets.of_booking(SECRET, BOOKING)
    code, link = made.code, made.link
    assert len(code) == mailed_secrets.DIGITS
    assert code.isdigit()
    assert made.proof(code) is Proof.CODE
    assert made.proof(link) is Proof.LINK
    for given in ("", "000000", "ö", f"{code} ", link.upper() + "x"):
        assert made.proof(given) is Proof.NONE
    assert mailed_secrets.of_booking(SECRET, OTHER).proof(link) is Proof.NONE
    assert mailed_secrets.of_booking(b"t" * 32, BOOKING).proof(link) is Proof.NONE
    assert mailed_secrets.of_login(SECRET, BOOKING.bytes).proof(link) is Proof.NONE
