"""The hours of the week in which a friend may be asked, and holidays, all in local time.

A span that ends no later than it begins runs over midnight. On the nights when the clocks change it
holds for the hours that clocks show: an hour that is left out is never asked, one that comes twice
is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from data.records.people import Plan
from dispatch.rules.refusals import Refused

DAY: Final = 24 * 60
WEEK: Final = 7 * DAY
HOLIDAY_MAX: Final = timedelta(days=365)
AHEAD_MAX: Final = timedelta(days=2 * 365)


class PlanInvalid(Refused):
    """A plan or a holiday is not valid; `name` is its field, `cure` what to do."""

    code = "plan-invalid"

    def __init__(self, name: str, problem: str, cure: str) -> None:
        super().__init__(f"{problem}; {cure}")
        self.name, self.problem, self.cure = name, problem, cure


class DaySpan(NamedTuple):
    """Minutes of a day (Monday is 0): from 0 to 1439, until 0 to 1440."""

    day: int
    from_minute: int
    until_minute: int


class Holiday(NamedTuple):
    """The first and the last day."""

    first: date
    last: date


def is_off(plan: Plan, today: date, minute: int) -> bool:
    """Whether the friend may not be asked on this local date at this local minute."""
    for first, last in plan.holidays:
        if first <= today <= last:
            return True
    if plan.week is None:
        return False
    at = today.weekday() * DAY + minute
    return not any(
        from_minute <= at < until_minute or at + WEEK < until_minute
        for from_minute, until_minute in plan.week
    )


def build_week(spans: Sequence[DaySpan]) -> tuple[tuple[int, int], ...]:
    """The spans in minutes of the week, in order. Raises PlanInvalid: one is empty or overlaps."""
    if not spans:
        raise PlanInvalid("week", "has no hours", "add some, send null for any time, or set paused")
    placed = sorted(_place(number, span) for number, span in enumerate(spans))
    beyond = [(from_ + WEEK, until + WEEK, number) for from_, until, number in placed[:1]]
    for (_, until, one), (from_, _, other) in pairwise([*placed, *beyond]):
        if from_ < until:
            number = max(one, other)
            raise PlanInvalid(
                f"week.{number}", "overlaps another span", "make them one, or shorten it"
            )
    return tuple((from_, until) for from_, until, _ in placed)


def _place(number: int, span: DaySpan) -> tuple[int, int, int]:
    if span.from_minute == span.until_minute:
        cure = "give another end, or 00:00 to 24:00 for a whole day"
        raise PlanInvalid(f"week.{number}.until", "is as early as `from`", cure)
    over = DAY if span.until_minute < span.from_minute else 0
    begin = span.day * DAY
    return begin + span.from_minute, begin + span.until_minute + over, number


def split_week(week: Iterable[tuple[int, int]]) -> list[DaySpan]:
    """The spans of `build_week` again, by day."""
    found = []
    for from_, until in week:
        day, minute = divmod(from_, DAY)
        length = until - day * DAY
        found.append(DaySpan(day, minute, length if length <= DAY else length - DAY))
    return found


def build_holidays(holidays: Sequence[Holiday], today: date) -> tuple[Holiday, ...]:
    """Those that have not ended, in order. Raises PlanInvalid."""
    for number, holiday in enumerate(holidays):
        _check_holiday(f"holidays.{number}", holiday, today)
    kept = sorted((one.first, one.last, n) for n, one in enumerate(holidays) if one.last >= today)
    for (_, last, one), (first, _, other) in pairwise(kept):
        if first <= last:
            name = f"holidays.{max(one, other)}"
            raise PlanInvalid(name, "overlaps another one", "make them one")
    return tuple(Holiday(first, last) for first, last, _ in kept)


def _check_holiday(name: str, one: Holiday, today: date) -> None:
    if one.last < one.first:
        raise PlanInvalid(f"{name}.until", "is before `from`", "exchange them, or correct one")
    if one.last - one.first >= HOLIDAY_MAX:
        cure = f"give {HOLIDAY_MAX.days} days at most, or set paused"
        raise PlanInvalid(f"{name}.until", "is more than a year after `from`", cure)
    if one.last > today + AHEAD_MAX:
        latest = today + AHEAD_MAX
        raise PlanInvalid(f"{name}.until", "is too far ahead", f"give a day up to {latest}")
