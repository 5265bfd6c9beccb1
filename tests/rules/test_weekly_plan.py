"""The hours of a week in which a friend may be asked, and holidays."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.markets import MARKETS, Market
from data.records.people import Plan
from dispatch.rules.people.ages import local_day
from dispatch.rules.people.quiet_hours import local_minute
from dispatch.rules.people.weekly_plan import (
    DAY,
    WEEK,
    DaySpan,
    Holiday,
    PlanInvalid,
    build_holidays,
    build_week,
    is_off,
    split_week,
)

MONDAY = date(2026, 3, 2)
SUNDAY = MONDAY + timedelta(days=6)
OFFICE = DaySpan(0, 8 * 60, 12 * 60)
NIGHT = DaySpan(6, 22 * 60, 2 * 60)


def is_asked(plan: Plan, day: date, hour: int, minute: int = 0) -> bool:
    return not is_off(plan, day, hour * 60 + minute)


def test_a_span_holds_from_its_first_minute_until_before_its_last_on_its_day_alone():
    plan = Plan(week=build_week([OFFICE]))
    asked = [is_asked(plan, MONDAY, *time) for time in ((7, 59), (8, 0), (11, 59), (12, 0))]
    assert asked == [False, True, True, False]
    assert not any(is_asked(plan, MONDAY + timedelta(days=n), 9) for n in range(1, 7))
    assert is_asked(plan, MONDAY + timedelta(days=7), 9)


def test_a_span_over_midnight_ends_on_the_next_day_also_from_sunday_to_monday():
    plan = Plan(week=build_week([NIGHT]))
    assert [is_asked(plan, SUNDAY, *time) for time in ((21, 59), (22, 0), (23, 59))] == [0, 1, 1]
    following = SUNDAY + timedelta(days=1)
    assert [is_asked(plan, following, *time) for time in ((0, 0), (1, 59), (2, 0))] == [1, 1, 0]
    assert not is_asked(plan, SUNDAY, 1)
    assert not is_asked(plan, following, 22)


def test_without_a_week_only_holidays_are_off_and_both_their_ends_are():
    plan = Plan(holidays=(Holiday(MONDAY, SUNDAY),))
    assert is_asked(plan, MONDAY - timedelta(days=1), 23, 59)
    assert not is_asked(plan, MONDAY, 0)
    assert not is_asked(plan, SUNDAY, 23, 59)
    assert is_asked(plan, SUNDAY + timedelta(days=1), 0)


def test_a_holiday_ends_a_span_that_runs_into_it_at_midnight():
    following = SUNDAY + timedelta(days=1)
    plan = Plan(week=build_week([NIGHT]), holidays=(Holiday(following, following),))
    assert is_asked(plan, SUNDAY, 23, 59)
    assert not is_asked(plan, following, 0)


@pytest.mark.parametrize("market", Market)
@pytest.mark.parametrize(
    "turn", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_on_the_nights_when_clocks_change_the_hours_are_those_that_clocks_show(market, turn):
    plan = Plan(week=build_week([DaySpan(6, 60, 180)]))
    zone = ZoneInfo(MARKETS[market].timezone)
    asked = 0
    for minute in range(-180, 360):
        now = turn + timedelta(minutes=minute)
        local = now.astimezone(zone)
        expected = local.weekday() == 6 and 1 <= local.hour < 3
        assert is_off(plan, local_day(now, market), local_minute(now, market)) is not expected
        asked += expected
    assert asked == (60 if turn.month == 3 else 180)


spans = st.lists(
    st.builds(DaySpan, st.integers(0, 6), st.integers(0, DAY - 1), st.integers(0, DAY)),
    min_size=1,
    max_size=4,
)


@given(spans)
def test_a_week_is_refused_or_covers_each_minute_by_one_of_its_spans_and_is_read_again(given):
    covered = [0] * WEEK
    for span in given:
        length = (span.until_minute - span.from_minute) % DAY
        if span.from_minute == 0 and span.until_minute == DAY:
            length = DAY
        for minute in range(length):
            covered[(span.day * DAY + span.from_minute + minute) % WEEK] += 1
    empty = any(span.from_minute == span.until_minute for span in given)
    if empty or max(covered) > 1:
        with pytest.raises(PlanInvalid):
            build_week(given)
        return
    week = build_week(given)
    days = [MONDAY + timedelta(days=n) for n in range(7)]
    plan = Plan(week=week)
    for at in range(0, WEEK, 7):
        assert is_off(plan, days[at // DAY], at % DAY) is not bool(covered[at])
    assert build_week(split_week(week)) == week


@pytest.mark.parametrize(
    ("week", "field"),
    [
        ([], "week"),
        ([OFFICE, DaySpan(1, 600, 600)], "week.1.until"),
        ([OFFICE, DaySpan(0, 719, 800)], "week.1"),
        ([NIGHT, OFFICE, DaySpan(0, 119, 200)], "week.2"),
        ([DaySpan(6, 0, DAY), DaySpan(6, 100, 200)], "week.1"),
        ([DaySpan(0, 1, 0), DaySpan(0, 0, 1), DaySpan(0, 5, 6)], "week.2"),
    ],
)
def test_a_week_that_is_not_valid_names_the_span(week, field):
    with pytest.raises(PlanInvalid) as refused:
        build_week(week)
    assert refused.value.name == field


def test_spans_may_touch_and_cover_the_whole_week():
    whole = [DaySpan(day, 0, DAY) for day in reversed(range(7))]
    week = build_week(whole)
    assert week[0] == (0, DAY)
    assert split_week(week) == sorted(whole)


@pytest.mark.parametrize(
    ("holidays", "field"),
    [
        ([Holiday(SUNDAY, MONDAY)], "holidays.0.until"),
        ([Holiday(MONDAY, MONDAY + timedelta(days=365))], "holidays.0.until"),
        ([Holiday(MONDAY, MONDAY), Holiday(MONDAY, SUNDAY)], "holidays.1"),
        ([Holiday(SUNDAY, SUNDAY), Holiday(MONDAY, SUNDAY)], "holidays.1"),
        ([Holiday(MONDAY + timedelta(days=731), MONDAY + timedelta(days=731))], "holidays.0.until"),
    ],
)
def test_a_holiday_that_is_not_valid_is_named(holidays, field):
    with pytest.raises(PlanInvalid) as refused:
        build_holidays([Holiday(*one) for one in holidays], MONDAY)
    assert refused.value.name == field


def test_holidays_that_are_over_are_dropped_and_the_others_are_in_order():
    over, now, later = (Holiday(day, day) for day in (MONDAY, SUNDAY, SUNDAY + timedelta(days=364)))
    year = Holiday(MONDAY, MONDAY + timedelta(days=364))
    assert build_holidays([later, over, now], SUNDAY) == (now, later)
    assert build_holidays([year], MONDAY) == (year,)
