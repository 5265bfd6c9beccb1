"""A company of pros is asked once, by its nearest technician; its dispatchers choose who goes."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from data.enums import AwardState, BookingState, FriendState, OfferState, Outcome, Tier, TimerKind
from data.records.ids import CompanyId
from data.records.jobs import Appointment
from dispatch.rules.jobs import companies, fan_out
from dispatch.rules.jobs import job as rules
from dispatch.rules.jobs.matching import Alike, Others
from dispatch.rules.jobs.refusals import (
    AppointmentOverlaps,
    ContactDeadlinePassed,
    NotInThisState,
    OfferExpired,
    OfferGone,
    TechnicianBusy,
    TechnicianUnfit,
)
from dispatch.rules.jobs.replay import replay
from dispatch.rules.jobs.visibility import company as board_of
from dispatch.rules.jobs.visibility import friend as phone_of
from dispatch.rules.jobs.visibility import visible_events
from dispatch.rules.policy import POLICY
from dispatch.rules.refusals import NotFound
from tests.rules.facts import NOW, PackageTier, Scenario, friend, near, package

ALPHA, BETA = CompanyId(UUID(int=71)), CompanyId(UUID(int=72))


def pros(*numbers: int, company: CompanyId | None = None, **changes):
    return [friend(n, tier=Tier.PRO, company=company, **changes) for n in numbers]


def scenario_of(*friends, **changes) -> Scenario:
    return Scenario(*friends, package=package(PackageTier.PRO), **changes).book()


def of_alpha(scenario: Scenario):
    return next(offer for offer in scenario.job.offers if offer.company == ALPHA)


def accept(scenario: Scenario, number: int, company: CompanyId = ALPHA):
    technician = scenario.friends[friend(number).id]
    return scenario.apply(companies.accept, of_alpha(scenario).id, company, technician)


def reassign(scenario: Scenario, number: int, *taken):
    return scenario.apply(companies.reassign, ALPHA, scenario.friends[friend(number).id], taken)


def outcomes(scenario: Scenario) -> dict[int, Outcome]:
    (*_, changes) = (c for c in scenario.applied if c.decisions)
    return {line.friend_id.int: line.outcome for line in changes.decisions[-1].friends}


def made(scenario: Scenario):
    return [decision for changes in scenario.applied for decision in changes.decisions]


def test_a_company_gets_one_offer_a_round_and_leaves_the_other_slots_to_others():
    scenario = scenario_of(*pros(1, 2, 3, company=ALPHA), *pros(4, 5, company=BETA), *pros(6, 7, 8))
    assert scenario.asked == ["f1", "f4", "f6", "f7"]
    assert [offer.company for offer in scenario.live] == [ALPHA, BETA, None, None]
    found = outcomes(scenario)
    assert {found[2], found[3], found[5]} == {Outcome.COMPANY_ASKED}
    assert found[8] is Outcome.RANKED_BELOW_K


def test_its_nearest_technician_who_qualifies_stands_for_it():
    busy = replace(friend(1, tier=Tier.PRO, company=ALPHA), open_jobs=3)
    scenario = scenario_of(busy, *pros(2, 3, company=ALPHA))
    assert scenario.asked == ["f2"]
    assert outcomes(scenario)[1] is Outcome.AT_CAPACITY


def test_a_decline_is_the_whole_company_s_and_asks_others_at_once():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3, 4, 5, 6))
    scenario.apply(companies.decline, of_alpha(scenario).id, ALPHA)
    assert scenario.asked == ["f3", "f4", "f5", "f6"]
    assert outcomes(scenario)[2] is Outcome.EXCLUDED
    assert scenario.apply(companies.decline, of_alpha(scenario).id, ALPHA) is None


def test_while_its_offer_is_live_no_top_up_asks_a_colleague():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3, 4, 5, 6))
    scenario.apply(rules.decline, scenario.live[1].id)
    assert scenario.asked == ["f1", "f4", "f5", "f6"]
    assert outcomes(scenario)[2] is Outcome.COMPANY_ASKED


def test_an_offer_that_expires_or_a_job_forfeited_excludes_the_company():
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    scenario.advance(days=1)
    scenario.apply(fan_out.expire)
    assert scenario.state is BookingState.UNFILLED
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    accept(scenario, 2)
    scenario.advance(hours=8)
    scenario.apply(rules.forfeit)
    assert scenario.state is BookingState.UNFILLED
    assert scenario.job.former == {friend(2).id: AwardState.FORFEITED}


def test_a_company_that_lost_is_asked_again_in_the_next_round():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3))
    scenario.accept(scenario.live[1])
    assert of_alpha(scenario).state is OfferState.LOST
    scenario.apply(rules.hand_back, "cannot_help", None, scenario.friends[friend(3).id])
    assert scenario.asked == ["f1"]
    assert scenario.live[0].company == ALPHA


def test_everybody_in_reach_counts_colleagues_as_asked_with_their_company():
    scenario = Scenario(package=package(PackageTier.PRO))
    pending = rules.book(scenario.case())
    far = friend(90, tier=Tier.PRO, company=ALPHA)
    changes = fan_out.finish(pending, near(*pros(1, company=ALPHA)), Others(alike=[Alike(far, 7)]))
    assert changes.decisions[0].reach.counts == {Outcome.OFFERED: 1, Outcome.COMPANY_ASKED: 7}


def test_decisions_with_companies_are_repeated_from_what_is_stored():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3, 4, company=BETA), *pros(5, 6, 7))
    scenario.apply(companies.decline, of_alpha(scenario).id, ALPHA)
    scenario.apply(rules.decline, scenario.live[-1].id)
    scenario.advance(days=1)
    scenario.apply(fan_out.expire)
    decisions = made(scenario)
    assert len(decisions) >= 3
    assert all(replay(decision, POLICY).equals(decision) for decision in decisions)
    assert decisions[0].inputs.companies == (1, 1, 2, 2, 0, 0, 0)
    alone = replace(decisions[0], inputs=replace(decisions[0].inputs, companies=()))
    assert not replay(alone, POLICY).equals(decisions[0])
    assert made(scenario_of(*pros(1, 2)))[0].inputs.companies == ()


def test_accepting_gives_the_job_to_the_technician_chosen_and_moves_the_offer_to_them():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3))
    changes = accept(scenario, 2)
    award = scenario.job.award
    assert (award.friend_id, award.company, award.offer_id) == (
        friend(2).id,
        ALPHA,
        of_alpha(scenario).id,
    )
    assert of_alpha(scenario).friend_id == friend(2).id
    assert of_alpha(scenario).state is OfferState.ACCEPTED
    assert scenario.offers(OfferState.LOST) == ["f3"]
    assert changes.open_jobs == {friend(2).id: 1}
    assert changes.taken_by == friend(2).id
    readers = {(m.template, m.recipient_id) for m in changes.messages}
    assert ("awarded", friend(2).id) in readers
    assert ("offer_gone", friend(3).id) in readers
    assert not [one for one in readers if one[1] == friend(1).id]


def test_of_two_dispatchers_one_wins_and_the_other_gets_the_answer_of_today():
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    accept(scenario, 1)
    assert accept(scenario, 1) is None
    with pytest.raises(OfferGone):
        accept(scenario, 2)
    assert scenario.job.award.friend_id == friend(1).id


def test_an_offer_that_ended_is_answered_as_to_a_friend():
    scenario = scenario_of(*pros(1, company=ALPHA), *pros(2))
    scenario.accept(scenario.live[1])
    with pytest.raises(OfferGone):
        accept(scenario, 1)
    scenario = scenario_of(*pros(1, company=ALPHA)).advance(days=1)
    with pytest.raises(OfferExpired):
        accept(scenario, 1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"certificates": ()}, TechnicianUnfit),
        ({"languages": frozenset()}, TechnicianUnfit),
        ({"state": FriendState.PAUSED}, TechnicianUnfit),
        ({"tier": Tier.FRIEND}, TechnicianUnfit),
        ({"blocked": frozenset({Scenario().job.booking.customer_key})}, TechnicianUnfit),
        ({"open_jobs": 3}, TechnicianBusy),
        ({"company": BETA}, NotFound),
        ({"company": None}, NotFound),
    ],
)
def test_only_a_technician_who_may_do_the_job_is_assigned(changes, why):
    scenario = scenario_of(*pros(1, company=ALPHA))
    other = friend(2, **{"tier": Tier.PRO, "company": ALPHA, **changes})
    with pytest.raises(why):
        scenario.apply(companies.accept, of_alpha(scenario).id, ALPHA, other)
    accept(scenario, 1)
    with pytest.raises(why):
        scenario.apply(companies.reassign, ALPHA, other, ())


def test_nobody_else_answers_the_offer_to_a_company():
    scenario = scenario_of(*pros(1, company=ALPHA), *pros(2, company=BETA))
    with pytest.raises(NotFound):
        accept(scenario, 2, company=BETA)
    with pytest.raises(NotFound):
        scenario.apply(companies.decline, of_alpha(scenario).id, BETA)
    with pytest.raises(NotFound):
        companies.require_answerable(scenario.job, of_alpha(scenario).id)


def test_a_job_passes_to_another_technician_and_keeps_its_deadline():
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    accept(scenario, 1)
    before = scenario.job
    scenario.advance(hours=3)
    changes = reassign(scenario, 2)
    award = scenario.job.award
    assert award == replace(before.award, friend_id=friend(2).id)
    assert scenario.job.timers == before.timers
    assert scenario.job.timers[TimerKind.CONTACT_DEADLINE] == award.contact_due_at
    assert scenario.state is BookingState.AWARDED
    assert changes.open_jobs == {friend(1).id: -1, friend(2).id: 1}
    assert changes.taken_by == friend(2).id
    assert {(m.template, m.recipient_id.int) for m in changes.messages} == {
        ("reassigned_to_you", 2),
        ("reassigned_away", 1),
        ("reassigned", scenario.job.booking.customer_id.int),
    }
    assert reassign(scenario, 2) is None
    reassign(scenario, 1)
    assert scenario.job.award == before.award


def test_a_job_passes_on_with_its_appointment_unless_the_technician_has_another():
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    accept(scenario, 1)
    scenario.apply(rules.confirm_contact)
    begin = NOW + timedelta(days=1)
    scenario.apply(rules.schedule, begin, begin + timedelta(hours=1), ())
    met = Appointment(starts_at=begin, ends_at=begin + timedelta(minutes=5), revision=1)
    with pytest.raises(AppointmentOverlaps):
        reassign(scenario, 2, met)
    reassign(scenario, 2)
    assert scenario.job.award.appointment.starts_at == begin
    assert scenario.state is BookingState.SCHEDULED
    scenario.apply(rules.start)
    with pytest.raises(NotInThisState):
        reassign(scenario, 1)


def test_a_job_whose_deadline_has_passed_is_not_passed_on():
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    accept(scenario, 1)
    scenario.advance(hours=8)
    with pytest.raises(ContactDeadlinePassed):
        reassign(scenario, 2)


def test_a_technician_who_left_keeps_no_part_of_the_company_s_offer_but_the_job_is_its_own():
    left = friend(1, tier=Tier.PRO)
    scenario = scenario_of(*pros(1, 2, company=ALPHA))
    scenario.friends[left.id] = left
    with pytest.raises(NotFound):
        accept(scenario, 1)
    accept(scenario, 2)
    assert scenario.job.award.company == ALPHA


def test_a_hand_back_excludes_the_company_and_asks_others():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3))
    accept(scenario, 1)
    scenario.apply(companies.hand_back, ALPHA, "cannot_help", None, scenario.friends[friend(1).id])
    assert scenario.asked == ["f3"]
    assert of_alpha(scenario).state is OfferState.HANDED_BACK
    with pytest.raises(NotFound):
        scenario.apply(companies.hand_back, ALPHA, "cannot_help", None, friend(1))


def test_the_pay_belongs_to_the_company():
    scenario = scenario_of(*pros(1, company=ALPHA))
    accept(scenario, 1)
    scenario.apply(rules.cancel, "other", 1_000_000)
    assert all(c.charge is None or c.charge.company == ALPHA for c in scenario.applied)
    scenario = scenario_of(*pros(1, company=ALPHA))
    accept(scenario, 1)
    scenario.apply(rules.confirm_contact)
    done = rules.Protocol(summary="New channel.", minutes=40)
    changes = scenario.apply(rules.complete, done, "M0 0L1 1")
    assert (changes.charge.company, changes.charge.friend_id) == (ALPHA, friend(1).id)


def test_the_offer_is_shown_to_the_company_and_not_to_the_technician():
    scenario = scenario_of(*pros(1, 2, company=ALPHA), *pros(3))
    offered = scenario.events[-1]
    seen = {visible.to for visible in visible_events(offered, None)}
    assert board_of(ALPHA) in seen
    assert phone_of(friend(3).id) in seen
    assert phone_of(friend(1).id) not in seen
    letters = {(m.audience, m.template, m.recipient_id.int) for m in scenario.applied[0].messages}
    assert ("company", "offer", ALPHA.int) in letters
    assert ("friend", "offer", 3) in letters
    assert ("friend", "offer", 1) not in letters


def test_every_event_of_a_company_s_job_reaches_its_board():
    scenario = scenario_of(*pros(1, company=ALPHA))
    accept(scenario, 1)
    scenario.apply(rules.confirm_contact)
    for event in scenario.events:
        if event.kind != "booking.created":
            assert board_of(ALPHA) in {one.to for one in visible_events(event, None)}, event.kind
