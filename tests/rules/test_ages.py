"""Ages by date alone: leap days, tomorrow, the oldest and the youngest."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.markets import MARKETS, Market
from dispatch.rules.people import ages
from dispatch.rules.people.ages import BirthDateRefused, age_on, check_birth_date, local_day

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (date(2008, 3, 2), date(2026, 3, 1), 17),
        (date(2008, 3, 2), date(2026, 3, 2), 18),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
        (date(2008, 2, 29), date(2028, 2, 28), 19),
        (date(2008, 2, 29), date(2028, 2, 29), 20),
        (date(2008, 12, 31), date(2026, 1, 1), 17),
        (date(2026, 3, 2), date(2026, 3, 2), 0),
    ],
)
def test_an_age_is_counted_in_whole_years_and_leap_days_end_on_the_first_of_march(born, day, age):
    assert age_on(born, day) == age


@given(st.dates(date(1900, 1, 1), date(2020, 1, 1)), st.integers(0, 40_000))
def test_an_age_grows_by_one_on_one_day_of_each_year(born, days):
    day = born + timedelta(days=days)
    assert age_on(born, day + timedelta(days=1)) - age_on(born, day) in (0, 1)
    assert age_on(born, day.replace(month=12, day=31)) == day.year - born.year


@pytest.mark.parametrize(
    ("born", "problem"),
    [
        (TODAY + timedelta(days=1), "in the future"),
        (date(1905, 3, 2), "more than 120 years"),
        (date(2012, 3, 3), "at least 14"),
    ],
)
def test_an_impossible_birth_date_is_refused_by_name(born, problem):
    with pytest.raises(BirthDateRefused, match=problem):
        check_birth_date(born, TODAY)


@pytest.mark.parametrize("born", [date(1905, 3, 3), date(2012, 3, 2), date(2008, 2, 29)])
def test_the_oldest_the_youngest_and_a_leap_day_are_accepted(born):
    check_birth_date(born, TODAY)


@pytest.mark.parametrize("market", Market)
def test_of_age_is_who_has_the_age_of_the_market_by_its_own_calendar(market):
    born = TODAY.replace(year=TODAY.year - MARKETS[market].adult_age)
    assert ages.is_adult(born, TODAY, market)
    assert not ages.is_adult(born, TODAY - timedelta(days=1), market)
    assert local_day(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), market) == TODAY
