from datetime import timedelta

import pytest

from dispatch.rules.policy import POLICY, Policy, RankBy

HOUR = timedelta(hours=1)


def test_four_are_asked_and_have_twelve_hours():
    assert POLICY.fan_out == 4
    assert POLICY.contact_within.total_seconds() == 43_200


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"fan_out": 5}, "fan_out"),
        ({"fan_out": 0}, "fan_out"),
        ({"contact_within": timedelta(hours=11)}, "contact_within"),
        ({"contact_within": timedelta(days=1)}, "contact_within"),
        ({"contact_reminders": (12 * HOUR,)}, "contact_reminders"),
        ({"contact_reminders": (timedelta(0),)}, "contact_reminders"),
        ({"contact_reminders": (HOUR, 4 * HOUR)}, "contact_reminders"),
        ({"rounds": 0}, "rounds"),
        ({"offer_life": timedelta(0)}, "offer_life"),
        ({"live_offers_max": 0}, "live_offers_max"),
        ({"retry_every": timedelta(0)}, "retry_every"),
        ({"shown_step_m": 0}, "shown_step_m"),
        ({"commission_percent": 100}, "commission_percent"),
        ({"commission_percent": -1}, "commission_percent"),
        ({"rank_by": "street"}, "rank_by"),
        ({"base_moves_every": timedelta(seconds=-1)}, "base_moves_every"),
    ],
)
def test_numbers_that_contradict_a_promise_are_refused_by_name(numbers, named):
    with pytest.raises(ValueError, match=named):
        Policy(**numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"fan_out": 1},
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


def test_nearness_is_counted_to_the_door_unless_the_policy_says_otherwise():
    assert POLICY.rank_by is RankBy.DOOR
    assert POLICY.name == "2026-11 by door"
    assert Policy(rank_by=RankBy.CELL).name == "2026-11 by cell"
