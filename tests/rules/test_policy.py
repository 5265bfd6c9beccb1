from datetime import timedelta

import pytest

from data.enums import PackageTier, Tier
from dispatch.rules.jobs import job as rules
from dispatch.rules.policy import DAY_LIMIT_MAX, FAN_OUT_MAX, POLICY, Override, Policy, RankBy
from tests.rules.facts import NOW, Scenario, friends, package

HOUR = timedelta(hours=1)


def test_four_are_asked_and_have_twelve_hours():
    assert POLICY.fan_out == 4
    assert POLICY.contact_within.total_seconds() == 43_200


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"fan_out": FAN_OUT_MAX + 1}, "fan_out"),
        ({"fan_out": 0}, "fan_out"),
        ({"contact_within": timedelta(minutes=90)}, "contact_within"),
        ({"contact_within": timedelta(hours=49)}, "contact_within"),
        ({"contact_within": 4 * HOUR}, "contact_reminders"),
        ({"contact_reminders": (12 * HOUR,)}, "contact_reminders"),
        ({"contact_reminders": (timedelta(0),)}, "contact_reminders"),
        ({"contact_reminders": (HOUR, 4 * HOUR)}, "contact_reminders"),
        ({"rounds": 0}, "rounds"),
        ({"offer_life": timedelta(0)}, "offer_life"),
        ({"live_offers_max": 0}, "live_offers_max"),
        ({"retry_every": timedelta(0)}, "retry_every"),
        ({"shown_step_m": 0}, "shown_step_m"),
        ({"quotes_per_minute": 0}, "quotes_per_minute"),
        ({"quotes_per_minute_of_partner": 0}, "quotes_per_minute_of_partner"),
        ({"login_links_per_minute": 0}, "login_links_per_minute"),
        ({"commission_percent": 100}, "commission_percent"),
        ({"commission_percent": -1}, "commission_percent"),
        ({"rank_by": "street"}, "rank_by"),
        ({"base_moves_every": timedelta(seconds=-1)}, "base_moves_every"),
        ({"customers_kept": timedelta(days=13)}, "customers_kept"),
        ({"mails_kept": timedelta(0)}, "mails_kept"),
        ({"certificate_told_before": timedelta(0)}, "certificate_told_before"),
        ({"jobs_per_day": DAY_LIMIT_MAX + 1}, "jobs_per_day"),
        ({"hand_backs_per_day": DAY_LIMIT_MAX + 1}, "hand_backs_per_day"),
        ({"errand_attempts": 0}, "errand_attempts"),
        ({"errands_kept": timedelta(minutes=9)}, "errands_kept"),
        ({"phone_code_life": timedelta(0)}, "phone_code_"),
        ({"phone_code_tries": 0}, "phone_code_"),
        ({"phone_codes_max": 0}, "phone_codes_"),
        ({"early_departure": -HOUR}, "early_departure"),
        ({"least_level": 0}, "least_level"),
        ({"least_level": 4}, "least_level"),
        ({"level_every": timedelta(0)}, "level_every"),
        ({"level_window": timedelta(days=29)}, "level_window"),
        ({"level_weights": (500, 500)}, "level_weights"),
        ({"level_weights": (400, 200, 150, 150, 99)}, "level_weights"),
        ({"level_loss_percents": (25, 20, 0)}, "level_loss_percents"),
        ({"level_jobs_min": 0}, "level_jobs_min"),
        ({"level_points": (800, 650)}, "level_points"),
        ({"level_points": (650,)}, "level_points"),
        ({"level_margin": 650}, "level_points"),
        ({"level_margin": -1}, "level_margin"),
        ({"overrides": (Override(numbers={"fan_uot": 6}),)}, "fan_uot"),
        ({"overrides": (Override(numbers={"fan_out": 0}),)}, "fan_out"),
        ({"overrides": (Override(numbers={"privacy_after": HOUR}),)}, "privacy_after"),
        ({"overrides": (Override(numbers={"agree_within": HOUR}),)}, "agree_within"),
    ],
)
def test_numbers_that_contradict_a_promise_are_refused_by_name(numbers, named):
    with pytest.raises(ValueError, match=named):
        Policy(**numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"fan_out": 1},
        {"fan_out": FAN_OUT_MAX},
        {"contact_within": 24 * HOUR},
        {"contact_reminders": ()},
        {"contact_reminders": (11 * HOUR, HOUR)},
        {"rounds": 1},
        {"commission_percent": 0},
        {"offer_life": timedelta(days=2)},
        {"rank_by": "cell"},
        {"base_moves_every": timedelta(0)},
    ],
)
def test_numbers_that_agree_are_taken(numbers):
    assert Policy(**numbers)


def test_distances_refer_to_the_address_unless_the_policy_says_otherwise():
    assert POLICY.rank_by is RankBy.DOOR
    assert POLICY.name == "2026-11 by door"
    assert Policy(rank_by=RankBy.CELL).name == "2026-11 by cell"


def test_pros_have_eight_hours():
    assert POLICY.at(Tier.PRO, "wifi-setup").contact_within == 8 * HOUR
    assert POLICY.at(Tier.FRIEND, "wifi-setup").contact_within == 12 * HOUR


def test_an_override_holds_for_its_tier_and_package_and_the_later_one_wins():
    policy = Policy(
        overrides=(
            Override(tier=Tier.PRO, numbers={"fan_out": 2, "rounds": 3}),
            Override(package="new-mac", numbers={"fan_out": 6}),
        )
    )
    assert policy.at(Tier.FRIEND, "wifi-setup") == Policy()
    assert policy.at(Tier.PRO, "wifi-setup") == Policy(fan_out=2, rounds=3)
    assert policy.at(Tier.FRIEND, "new-mac") == Policy(fan_out=6)
    assert policy.at(Tier.PRO, "new-mac") == Policy(fan_out=6, rounds=3)


def test_a_package_may_have_six_offers_and_its_friends_six_slots():
    wanted = package()
    policy = Policy(overrides=(Override(package=wanted.code, numbers={"fan_out": 6}),))
    scenario = Scenario(*friends(8), package=wanted, policy=policy).book()
    assert [(offer.slot, offer.slots) for offer in scenario.live] == [(n, 6) for n in range(1, 7)]
    scenario.apply(rules.decline, scenario.live[0].id)
    assert len(scenario.live) == 6


def test_after_escalation_the_numbers_of_the_pros_hold():
    policy = Policy(
        overrides=(Override(tier=Tier.PRO, numbers={"fan_out": 2, "contact_within": 8 * HOUR}),)
    )
    scenario = Scenario(
        *friends(3, tier=Tier.PRO), package=package(tier=PackageTier.FRIEND_THEN_PRO), policy=policy
    ).book()
    assert len(scenario.live) == 2
    scenario.accept(scenario.live[0])
    award = scenario.job.award
    assert award.contact_due_at == NOW + 8 * HOUR
    assert award.contact_within_s == 8 * 3600
    scenario.advance(hours=8)
    scenario.apply(rules.forfeit)
    assert "contact.missed" in scenario.kinds


def test_a_pro_awarded_by_the_desk_has_the_time_of_a_pro():
    friend = next(iter(friends(1, tier=Tier.PRO)))
    scenario = Scenario(friend).book()
    scenario.apply(rules.award_by_hand, friend)
    assert scenario.job.award.contact_due_at == NOW + 8 * HOUR
