"""Ages in whole years, by date alone: who may be asked, and which birth dates are accepted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from data.markets import MARKETS, Market
from dispatch.rules.people.quiet_hours import zone
from dispatch.rules.refusals import Refused

YOUNGEST: Final = 14
"""The least that a package may allow (`packages.min_age`)."""
OLDEST: Final = 120


class BirthDateRefused(Refused):
    """This birth date is not possible here."""

    code = "birth-date-refused"
    field = "birth_date"


def local_day(now: datetime, market: Market) -> date:
    """The date in a market at a moment."""
    return now.astimezone(zone(market)).date()


def age_on(born: date, day: date) -> int:
    """The age on a day; without a 29 February, those born on one grow older on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def is_adult(born: date, day: date, market: Market) -> bool:
    """Whether somebody is of age in a market on a day."""
    return age_on(born, day) >= MARKETS[market].adult_age


def check_birth_date(born: date, today: date) -> None:
    """Raise BirthDateRefused for one in the future, too long ago, or of a child."""
    if born > today:
        raise BirthDateRefused("It is in the future; correct the year.")
    if age_on(born, today) > OLDEST:
        raise BirthDateRefused(f"It is more than {OLDEST} years ago; correct the year.")
    if age_on(born, today) < YOUNGEST:
        raise BirthDateRefused(f"Friends are at least {YOUNGEST} years old; come back then.")
