from dataclasses import replace
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from data.enums import (
    AwardState,
    BookingState,
    FriendState,
    OfferState,
    Outcome,
    PackageTier,
    Tier,
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
    AppointmentUnfit,
    AtCapacity,
    ContactDeadlinePassed,
    FriendUnfit,
    OfferExpired,
    OfferGone,
)
from dispatch.rules.policy import Policy
from tests.rules.facts import NOW, VERA, Story, friend, friends, package

DONE = Protocol(summary="New channel.", minutes=40)
TICK = timedelta(microseconds=1)


def test_the_four_nearest_are_asked_at_once():
    story = Story(*friends(6)).booked()
    assert story.asked == ["f1", "f2", "f3", "f4"]
    assert story.state is BookingState.OPEN
    assert story.kinds == ["booking.created", "booking.offered"]
    assert sorted(offer.slot for offer in story.live) == [1, 2, 3, 4]
    assert {offer.round for offer in story.live} == {1}
    assert story.job.timers == {TimerKind.OFFERS_EXPIRE: NOW + story.policy.offer_life}


def test_the_order_in_which_friends_are_known_does_not_matter():
    everybody = list(friends(12))
    for seed in range(10):
        Random(seed).shuffle(everybody)
        assert Story(*everybody).booked().asked == ["f1", "f2", "f3", "f4"]


def test_a_booking_nobody_can_serve_is_unfilled_at_once_and_will_be_tried_again():
    story = Story().booked()
    assert story.state is BookingState.UNFILLED
    assert story.kinds == ["booking.created", "booking.unfilled"]
    assert story.job.timers == {TimerKind.RETRY: NOW + story.policy.retry_every}


def test_the_decision_is_kept_with_the_event_it_belongs_to():
    story = Story(*friends(5), friend(6, open_jobs=3)).booked()
    (decision,) = story.told[0].decisions
    assert (decision.seq, decision.round, decision.policy) == (2, 1, story.policy.name)
    assert [f.outcome for f in decision.friends] == [
        *[Outcome.OFFERED] * 4,
        Outcome.RANKED_BELOW_K,
        Outcome.AT_CAPACITY,
    ]


def test_the_first_to_accept_wins_and_the_others_lose_in_the_same_moment():
    story = Story(*friends(4)).booked()
    story.accepts(story.live[2])
    assert story.state is BookingState.AWARDED
    assert story.offers(OfferState.ACCEPTED) == ["f3"]
    assert sorted(story.offers(OfferState.LOST)) == ["f1", "f2", "f4"]
    assert story.friends[FriendId(UUID(int=3))].open_jobs == 1
    award = story.job.award
    assert award is not None
    assert award.contact_due_at - award.awarded_at == timedelta(seconds=43_200)
    assert story.job.timers == {
        TimerKind.CONTACT_DEADLINE: award.contact_due_at,
        TimerKind.CONTACT_REMINDER: award.contact_due_at - timedelta(hours=4),
    }


def test_the_winner_may_say_it_again_for_as_long_as_he_holds_the_job():
    story = Story(*friends(4)).awarded()
    accepted = next(o for o in story.job.offers if o.state is OfferState.ACCEPTED)
    winner = story.friends[accepted.friend_id]
    for step in (rules.confirm_contact, rules.start, lambda case: rules.complete(case, DONE)):
        assert story.tell(rules.accept, accepted.id, winner) is None
        story.tell(step)
    assert story.tell(rules.accept, accepted.id, winner) is None


@pytest.mark.parametrize("answer", [rules.accept, rules.decline])
def test_an_offer_is_answered_until_the_moment_it_expires(answer):
    story = Story(*friends(4)).booked()
    offer = story.live[0]
    args = (offer.id, story.friends[offer.friend_id])[: 2 if answer is rules.accept else 1]
    story.now = offer.expires_at
    with pytest.raises(OfferExpired):
        story.tell(answer, *args)
    story.now = offer.expires_at - TICK
    assert story.tell(answer, *args) is not None


@pytest.mark.parametrize(
    ("ending", "refusal"),
    [
        (lambda s: s.accepts(s.live[1]), OfferGone),
        (lambda s: s.tell(rules.cancel, "changed_mind"), OfferGone),
        (lambda s: s.tell(rules.award_by_hand, friend(9)), OfferGone),
        (lambda s: s.later(minutes=60).tell(fan_out.expire), OfferExpired),
        (lambda s: s.tell(rules.decline, s.live[0].id), OfferGone),
    ],
)
def test_an_offer_that_is_over_cannot_be_accepted(ending, refusal):
    story = Story(*friends(4), friend(9)).booked()
    offer = story.live[0]
    ending(story)
    with pytest.raises(refusal):
        story.tell(rules.accept, offer.id, story.friends[offer.friend_id])


def test_a_friend_with_all_he_can_take_must_finish_first():
    story = Story(*friends(4)).booked()
    full = replace(story.friends[story.live[0].friend_id], open_jobs=3)
    with pytest.raises(AtCapacity, match="3 open jobs"):
        story.tell(rules.accept, story.live[0].id, full)


def test_a_suspended_friend_wins_nothing():
    story = Story(*friends(4)).booked()
    gone = replace(story.friends[story.live[0].friend_id], state=FriendState.SUSPENDED)
    with pytest.raises(OfferGone):
        story.tell(rules.accept, story.live[0].id, gone)


def test_a_decline_calls_the_next_nearest_into_the_same_round():
    story = Story(*friends(6)).booked()
    freed = story.live[1]
    story.tell(rules.decline, freed.id)
    assert story.asked == ["f1", "f3", "f4", "f5"]
    assert {offer.round for offer in story.live} == {1}
    assert story.live[-1].slot == freed.slot
    assert story.tell(rules.decline, freed.id) is None
    assert story.job.timers[TimerKind.OFFERS_EXPIRE] == NOW + story.policy.offer_life


def test_pros_are_asked_only_when_no_friend_is_left():
    pros = [friend(n, tier=Tier.PRO) for n in (1, 2)]
    story = Story(*pros, *(friend(n) for n in (5, 6))).booked()
    assert story.asked == ["f5", "f6"]
    story.tell(rules.decline, story.live[0].id)
    assert story.asked == ["f6"]
    story.tell(rules.decline, story.live[0].id)
    assert story.asked == ["f1", "f2"]
    assert story.job.booking.tier is Tier.PRO
    assert story.kinds[-2:] == ["booking.escalated", "booking.offered"]


def test_pros_are_never_asked_for_what_friends_do():
    story = Story(friend(1, tier=Tier.PRO), package=package(PackageTier.FRIEND)).booked()
    assert story.state is BookingState.UNFILLED


def test_when_everybody_declined_the_booking_is_unfilled():
    story = Story(*friends(5)).booked()
    while story.live:
        story.tell(rules.decline, story.live[0].id)
    assert story.state is BookingState.UNFILLED
    assert story.events[-1].data["because"] == "nobody_left"


def test_only_offers_whose_time_is_over_expire():
    story = Story(*friends(5)).booked()
    story.later(minutes=20).tell(rules.decline, story.live[0].id)
    story.later(minutes=40).tell(fan_out.expire)
    assert story.offers(OfferState.EXPIRED) == ["f2", "f3", "f4"]
    assert story.asked == ["f5"]
    assert story.job.timers[TimerKind.OFFERS_EXPIRE] == story.live[0].expires_at


def test_a_sweep_that_comes_too_early_only_sets_the_timer_right():
    story = Story(*friends(4)).booked()
    told = story.later(minutes=59).tell(fan_out.expire)
    assert told is not None
    assert (told.events, told.offers) == ((), ())
    assert told.timers == {TimerKind.OFFERS_EXPIRE: NOW + story.policy.offer_life}


def test_spent_rounds_end_the_search_and_say_so():
    policy = Policy(rounds=2)
    story = Story(*friends(20), package=package(PackageTier.FRIEND), policy=policy).booked()
    story.later(minutes=60).tell(fan_out.expire)
    assert story.asked == ["f5", "f6", "f7", "f8"]
    story.later(minutes=60).tell(fan_out.expire)
    assert story.state is BookingState.UNFILLED
    assert story.events[-1].data == {"round": 2, "because": "rounds_spent"}


def test_spent_rounds_of_friends_lead_to_the_pros_with_rounds_of_their_own():
    pros = [friend(n, tier=Tier.PRO) for n in range(30, 36)]
    story = Story(*friends(20), *pros, policy=Policy(rounds=1)).booked()
    story.later(minutes=60).tell(fan_out.expire)
    assert story.asked == ["f30", "f31", "f32", "f33"]
    assert story.job.booking.round == 2
    story.later(minutes=60).tell(fan_out.expire)
    assert story.state is BookingState.UNFILLED


def test_a_retry_without_anybody_is_silent_and_comes_again_until_its_time_is_over():
    story = Story().booked()
    tries = 0
    while TimerKind.RETRY in story.job.timers:
        story.now = story.job.timers[TimerKind.RETRY]
        told = story.tell(fan_out.retry)
        assert told is not None
        assert (told.events, told.messages, told.decisions) == ((), (), ())
        tries += 1
    assert tries == story.policy.retry_for / story.policy.retry_every
    assert story.state is BookingState.UNFILLED


def test_a_retry_asks_whoever_can_come_now_but_nobody_who_refused():
    story = Story(*friends(1)).booked()
    story.tell(rules.decline, story.live[0].id)
    newcomer = friend(7)
    story.friends[newcomer.id] = newcomer
    story.later(minutes=15).tell(fan_out.retry)
    assert story.asked == ["f7"]
    assert TimerKind.RETRY not in story.job.timers


def test_a_loser_is_asked_again_when_the_winner_fails():
    story = Story(*friends(4)).awarded()
    story.later(hours=12).tell(rules.forfeit)
    assert story.asked == ["f2", "f3", "f4"]
    assert story.job.booking.round == 2


def test_twelve_hours_without_contact_take_the_job_away_and_not_a_moment_sooner():
    story = Story(*friends(6)).awarded()
    due = story.job.timers[TimerKind.CONTACT_DEADLINE]
    story.now = due - TICK
    early = story.tell(rules.forfeit)
    assert early is not None
    assert early.timers == {TimerKind.CONTACT_DEADLINE: due}
    assert (early.award, early.events) == (None, ())
    story.now = due
    with pytest.raises(ContactDeadlinePassed):
        story.tell(rules.confirm_contact)
    told = story.tell(rules.forfeit)
    assert told is not None
    assert told.open_jobs == {friend(1).id: -1}
    assert told.award is not None
    assert told.award.state is AwardState.FORFEITED
    assert story.offers(OfferState.FORFEITED) == ["f1"]
    assert story.asked == ["f2", "f3", "f4", "f5"]
    assert story.friends[friend(1).id].open_jobs == 0


def test_a_clock_set_back_after_the_award_keeps_nobody_from_contact():
    story = Story(*friends(4)).awarded()
    story.later(hours=-1)
    told = story.tell(rules.confirm_contact)
    assert told is not None
    assert told.award is not None
    assert told.award.contacted_at == told.award.awarded_at


def test_contact_in_the_last_moment_keeps_the_job():
    story = Story(*friends(4)).awarded()
    story.now = story.job.timers[TimerKind.CONTACT_DEADLINE] - TICK
    story.tell(rules.confirm_contact)
    assert story.state is BookingState.CONTACTED
    assert story.job.timers == {}
    assert story.tell(rules.confirm_contact) is None
    story.later(hours=1)
    told = story.tell(rules.forfeit)
    assert told is not None
    assert (told.award, told.events) == (None, ())


def test_reminders_come_four_hours_and_one_hour_before():
    story = Story(*friends(4)).awarded()
    reminded = []
    while TimerKind.CONTACT_REMINDER in story.job.timers:
        story.now = story.job.timers[TimerKind.CONTACT_REMINDER]
        story.tell(rules.remind)
        reminded.append(story.now - NOW)
    assert reminded == [timedelta(hours=8), timedelta(hours=11)]


def test_reminders_that_come_late_come_once():
    story = Story(*friends(4)).awarded()
    story.later(hours=11, minutes=30).tell(rules.remind)
    assert TimerKind.CONTACT_REMINDER not in story.job.timers
    assert story.kinds.count("contact.reminded") == 1


@pytest.mark.parametrize("rule", [rules.remind, rules.forfeit, fan_out.retry])
def test_a_timer_of_a_state_that_is_over_only_disappears(rule):
    story = Story(*friends(4)).contacted()
    told = story.tell(rule)
    assert told is not None
    assert (told.events, told.award, told.offers) == ((), None, ())


def losing() -> dict:
    return {
        "forfeited": lambda s: s.later(hours=12).tell(rules.forfeit),
        "handed back": lambda s: s.tell(rules.hand_back, "cannot_help", None),
        "released": lambda s: s.tell(rules.redispatch),
    }


@pytest.mark.parametrize("how", losing())
@pytest.mark.parametrize("by_hand", [False, True])
def test_who_lost_a_job_is_never_asked_for_it_again(how: str, by_hand: bool):
    story = Story(*friends(3)).booked()
    if by_hand:
        story.tell(rules.award_by_hand, story.friends[friend(1).id])
    else:
        story.accepts(story.live[0])
    losing()[how](story)
    assert story.asked == ["f2", "f3"]
    assert set(story.job.former) == {friend(1).id}
    while story.live:
        story.tell(rules.decline, story.live[0].id)
    story.later(minutes=15).tell(fan_out.retry)
    assert story.state is BookingState.UNFILLED


def test_a_job_handed_back_keeps_the_reason_and_goes_out_again():
    story = Story(*friends(6)).contacted()
    told = story.tell(rules.hand_back, "cannot_help", "No fibre tester.")
    assert told is not None
    assert told.award is not None
    assert told.award.protocol == Protocol(summary="No fibre tester.", minutes=0)
    assert told.events[0].data["reason"] == "cannot_help"
    assert story.asked == ["f2", "f3", "f4", "f5"]


def test_the_desk_may_take_a_job_from_its_friend_and_he_is_told():
    story = Story(*friends(6)).contacted()
    told = story.tell(rules.redispatch)
    assert told is not None
    assert {m.template for m in told.messages} >= {"job_cancelled", "friend_changed", "offer"}
    assert "f1" not in story.asked


def test_an_incomplete_job_sent_out_again_goes_to_another():
    story = Story(*friends(6)).contacted()
    story.tell(rules.mark_incomplete, "needs_parts", DONE)
    assert story.state is BookingState.INCOMPLETE
    assert story.job.booking.award_id is None
    story.tell(rules.redispatch)
    assert story.asked == ["f2", "f3", "f4", "f5"]


def test_an_award_by_hand_withdraws_the_offers_and_starts_the_twelve_hours():
    story = Story(*friends(4), friend(9, certificates=())).booked()
    told = story.tell(rules.award_by_hand, story.friends[friend(9).id])
    assert told is not None
    assert len(story.offers(OfferState.WITHDRAWN)) == 4
    assert story.job.award is not None
    assert story.job.award.offer_id is None
    assert story.job.timers[TimerKind.CONTACT_DEADLINE] == NOW + timedelta(hours=12)


def test_who_is_given_a_job_he_was_asked_about_is_not_told_that_it_is_gone():
    story = Story(*friends(4)).booked()
    winner = story.job.live[0].friend_id
    told = story.tell(rules.award_by_hand, story.friends[winner])
    gone = {m.recipient_id for m in told.messages if m.template == "offer_gone"}
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
def test_the_desk_cannot_give_a_job_to_who_cannot_take_it(changes):
    story = Story(*friends(4), friend(9, **changes)).booked()
    with pytest.raises(FriendUnfit) as refused:
        story.tell(rules.award_by_hand, story.friends[friend(9).id])
    assert refused.value.field == "friend"


def test_an_unfilled_booking_can_be_given_by_hand():
    story = Story(friend(9, certificates=())).booked()
    story.tell(rules.award_by_hand, story.friends[friend(9).id])
    assert story.state is BookingState.AWARDED
    assert TimerKind.RETRY not in story.job.timers


HOUR = timedelta(hours=1)


def test_an_appointment_is_agreed_and_moved_with_a_rising_revision():
    story = Story(*friends(4)).contacted()
    story.tell(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ())
    assert story.state is BookingState.SCHEDULED
    first = story.job.award.appointment
    assert story.tell(rules.schedule, NOW + HOUR, NOW + 2 * HOUR, ()) is None
    told = story.tell(rules.schedule, NOW + 2 * HOUR, NOW + 3 * HOUR, ())
    assert told.award.appointment.revision > first.revision
    assert {m.audience for m in told.messages} == {"friend", "customer"}


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
    story = Story(*friends(4)).contacted()
    with pytest.raises(AppointmentUnfit):
        story.tell(rules.schedule, NOW + begin, NOW + end, ())


@pytest.mark.parametrize(
    ("begin", "end", "overlaps"),
    [(1, 2, False), (1, 2.1, True), (2.5, 2.6, True), (1, 4, True), (2.9, 4, True), (3, 4, False)],
)
def test_two_appointments_of_a_friend_may_touch_but_not_overlap(begin, end, overlaps):
    story = Story(*friends(4)).contacted()
    other = Appointment(starts_at=NOW + 2 * HOUR, ends_at=NOW + 3 * HOUR, revision=1)
    wish = (NOW + begin * HOUR, NOW + end * HOUR, (other,))
    if overlaps:
        with pytest.raises(AppointmentOverlaps):
            story.tell(rules.schedule, *wish)
    else:
        assert story.tell(rules.schedule, *wish) is not None


def test_a_completed_job_is_charged_once_and_frees_its_friend():
    story = Story(*friends(4)).contacted()
    told = story.tell(rules.complete, DONE)
    assert told is not None
    assert told.charge is not None
    assert told.charge.price == Money(amount=6900, currency=Currency.CHF)
    assert told.charge.pay == Money(amount=5520, currency=Currency.CHF)
    assert told.open_jobs == {friend(1).id: -1}
    assert story.job.award is not None
    assert story.job.award.state is AwardState.DONE
    assert story.tell(rules.complete, DONE) is None


@pytest.mark.parametrize("until", [Story.booked, Story.awarded, Story.contacted])
def test_a_cancelled_booking_leaves_nothing_behind(until):
    story = until(Story(*friends(4)))
    story.tell(rules.cancel, "changed_mind")
    assert story.state is BookingState.CANCELLED
    assert story.live == []
    assert story.job.timers == {}
    assert story.job.award is None
    assert {f.open_jobs for f in story.friends.values()} == {0}
    assert story.tell(rules.cancel, "changed_mind") is None


def test_what_was_accepted_is_told_the_same_for_ever():
    story = Story(*friends(4)).awarded()
    first = rules.initial_award(story.job.award)
    story.later(hours=1).tell(rules.confirm_contact)
    story.tell(rules.schedule, story.now + HOUR, story.now + 2 * HOUR, ())
    story.tell(rules.start)
    story.tell(rules.complete, DONE)
    assert rules.initial_award(story.job.award) == first
