from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.markets import MARKETS, Market
from data.records.people import QuietHours
from dispatch.rules.people.quiet_hours import is_quiet, local_minute
from dispatch.rules.policy import POLICY

NIGHT = QuietHours(from_minute=22 * 60, until_minute=7 * 60)
NOON = QuietHours(from_minute=12 * 60, until_minute=13 * 60)
SPRING = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minute", "quiet"),
    [(1319, False), (1320, True), (1439, True), (0, True), (419, True), (420, False), (720, False)],
)
def test_a_span_over_midnight_is_quiet_from_its_first_minute_until_before_its_last(minute, quiet):
    assert is_quiet(NIGHT, minute) is quiet


@pytest.mark.parametrize(
    ("minute", "quiet"), [(719, False), (720, True), (779, True), (780, False), (0, False)]
)
def test_a_span_inside_a_day_is_quiet_from_its_first_minute_until_before_its_last(minute, quiet):
    assert is_quiet(NOON, minute) is quiet


def test_a_friend_without_quiet_hours_is_never_quiet():
    assert not any(is_quiet(None, minute) for minute in range(1440))


minutes = st.integers(0, 1439)


@given(minutes, minutes, minutes)
def test_two_spans_that_share_both_ends_cover_every_minute_once(one: int, other: int, minute: int):
    if one == other:
        return
    day = QuietHours(from_minute=one, until_minute=other)
    night = QuietHours(from_minute=other, until_minute=one)
    assert is_quiet(day, minute) is not is_quiet(night, minute)


@pytest.mark.parametrize("market", Market)
def test_on_the_night_the_clocks_go_forward_two_follows_one(market: Market):
    assert local_minute(SPRING - timedelta(minutes=1), market) == 119
    assert local_minute(SPRING, market) == 180


@pytest.mark.parametrize("market", Market)
def test_on_the_night_the_clocks_go_back_the_hour_after_two_comes_twice(market: Market):
    twice = [local_minute(AUTUMN + timedelta(minutes=by), market) for by in (-60, -1, 0, 59, 60)]
    assert twice == [120, 179, 120, 179, 180]


@pytest.mark.parametrize("market", Market)
@pytest.mark.parametrize("turn", [SPRING, AUTUMN])
def test_quiet_hours_hold_through_both_nights(market: Market, turn: datetime):
    evening = datetime(turn.year, turn.month, turn.day, 0, 0, tzinfo=UTC)
    zone = ZoneInfo(MARKETS[market].timezone)
    for minute in range(-120, 300):
        now = evening + timedelta(minutes=minute)
        local = now.astimezone(zone)
        expected = local.hour >= 22 or local.hour < 7
        assert is_quiet(NIGHT, local_minute(now, market)) is expected


@pytest.mark.parametrize("market", Market)
@pytest.mark.parametrize("turn", [SPRING, AUTUMN])
def test_twelve_hours_are_elapsed_seconds_over_both_nights(market: Market, turn: datetime):
    accepted = turn - timedelta(hours=5)
    due = accepted + POLICY.contact_within
    assert (due - accepted).total_seconds() == 43_200
    zone = ZoneInfo(MARKETS[market].timezone)
    local = due.astimezone(zone).replace(tzinfo=None) - accepted.astimezone(zone).replace(
        tzinfo=None
    )
    assert local == timedelta(hours=13 if turn is SPRING else 11)
