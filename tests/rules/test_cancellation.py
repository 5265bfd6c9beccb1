"""The cancellation fee at each moment, and who is paid."""

from datetime import timedelta

import pytest

from data.enums import BookingState
from data.markets import Currency
from data.records.jobs import Appointment
from data.records.money import Money
from data.replace import replace
from dispatch.rules.jobs import cancellation, contact, visit
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.refusals import FeeChanged
from dispatch.rules.policy import POLICY, Policy
from tests.rules.facts import NOW, Scenario, friends
from tests.rules.test_job import HOUR

PRICE = Money(amount=6900, currency=Currency.CHF)
FEE = Money(amount=1725, currency=Currency.CHF)
FREE = Money(amount=0, currency=Currency.CHF)
TICK = timedelta(microseconds=1)
DAY = 24 * HOUR
MET = Appointment(starts_at=NOW + 2 * DAY, ends_at=NOW + 2 * DAY + HOUR, revision=7)


def cost(
    at, *, appointment=MET, state=BookingState.SCHEDULED, contact_disputed=False, policy=POLICY
):
    return cancellation.cancellation_terms(
        state, PRICE, appointment, contact_disputed=contact_disputed, now=at, policy=policy
    )


@pytest.mark.parametrize(
    ("at", "fee"),
    [
        (NOW, FREE),
        (MET.starts_at - DAY - TICK, FREE),
        (MET.starts_at - DAY, FEE),
        (MET.starts_at, FEE),
        (MET.ends_at, FEE),
        (MET.ends_at + TICK, FREE),
    ],
)
def test_it_is_free_until_a_day_before_and_again_when_the_friend_has_not_come(at, fee):
    assert cost(at) == cancellation.CancellationTerms(fee=fee, free_until=MET.starts_at - DAY)


def test_without_appointment_or_with_disputed_contact_cancelling_is_free():
    nothing = cancellation.CancellationTerms(fee=FREE, free_until=None)
    assert cost(MET.starts_at, appointment=None, state=BookingState.CONTACTED) == nothing
    assert cost(MET.starts_at, contact_disputed=True) == nothing
    award = Scenario(*friends(4)).award().job.award
    for contacted_at, disputed_at, disputed in [
        (NOW, NOW, True),
        (NOW, NOW - TICK, False),  # reported before the contact was confirmed
        (None, NOW, False),
        (NOW, None, False),
    ]:
        changed = replace(award, contacted_at=contacted_at, disputed_at=disputed_at)
        assert contact.is_disputed(changed) is disputed


def test_a_booking_that_cannot_be_cancelled_has_no_terms():
    ended = {BookingState.UNDER_WAY, BookingState.COMPLETED, BookingState.CANCELLED}
    assert {state for state in BookingState if cost(NOW, state=state) is None} == ended


def test_the_fee_follows_the_policy_and_is_rounded_down():
    strict = Policy(cancel_free_until=3 * DAY, cancel_late_percent=33)
    assert cost(NOW, policy=strict).fee.amount == 2277
    odd = Money(amount=101, currency=Currency.PLN)
    found = cancellation.cancellation_terms(
        BookingState.SCHEDULED, odd, MET, contact_disputed=False, now=MET.starts_at, policy=POLICY
    )
    assert found.fee == Money(amount=25, currency=Currency.PLN)


def scheduled(actor: str = "customer") -> Scenario:
    scenario = Scenario(*friends(4), actor=actor).contact()
    scenario.apply(rules.schedule, NOW + 2 * HOUR, NOW + 3 * HOUR, ())
    return scenario


def test_a_late_cancel_is_charged_once_and_its_friend_gets_a_share():
    scenario = scheduled()
    friend = scenario.job.award.friend_id
    result = scenario.apply(rules.cancel, "other", 1725)
    assert result.charge.price == FEE
    assert result.charge.pay == Money(amount=1380, currency=Currency.CHF)
    assert result.charge.friend_id == friend
    assert result.booking.cancel_fee_minor == 1725
    data = scenario.events[-1].data
    assert (data["fee_minor"], data["share_minor"]) == (1725, 1380)
    letters = {message.template for message in result.messages}
    assert letters == {"cancelled_late", "job_cancelled_late"}
    assert scenario.apply(rules.cancel, "other", 0) is None, "a repeat is never refused"


def test_a_fee_above_the_confirmed_one_is_refused_and_changes_nothing():
    scenario = scheduled()
    before = scenario.job
    for confirmed in ((), (0,), (1724,)):
        with pytest.raises(FeeChanged, match="1725") as refused:
            scenario.apply(rules.cancel, "other", *confirmed)
        assert refused.value.fee == FEE
        assert scenario.job == before
    assert scenario.apply(rules.cancel, "other", 1725) is not None


def test_an_early_cancel_and_a_cancel_by_the_desk_are_free():
    early = Scenario(*friends(4), actor="customer").contact()
    early.apply(rules.schedule, NOW + DAY + HOUR, NOW + DAY + 2 * HOUR, ())
    desk = scheduled("operator:0197f0a0-0000-7000-8000-000000000009")
    disputed = Scenario(*friends(4), actor="customer").contact()
    disputed.apply(visit.report_no_call)
    disputed.apply(contact.answer, NOW)
    disputed.apply(rules.schedule, NOW + 2 * HOUR, NOW + 3 * HOUR, ())
    for scenario in (early, desk, disputed):
        result = scenario.apply(rules.cancel, "other", 0)
        assert result.charge is None
        assert result.booking.cancel_fee_minor == 0
        assert "fee_minor" not in scenario.events[-1].data
        assert {m.template for m in result.messages} == {"cancelled", "job_cancelled"}


def test_a_forgotten_booking_is_cancelled_once_its_time_is_over_without_a_letter_to_the_customer():
    scenario = Scenario(*friends(4)).award()
    kept = scenario.policy.customers_kept
    assert scenario.advance(seconds=kept.total_seconds()).apply(rules.cancel_forgotten) is None
    changes = scenario.advance(seconds=1).apply(rules.cancel_forgotten)
    assert scenario.state is BookingState.CANCELLED
    assert [m.template for m in changes.messages] == ["job_cancelled"]
    assert changes.events[-1].data["forgotten"]
