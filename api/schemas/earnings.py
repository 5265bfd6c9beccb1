"""The JSON about what a friend has earned by month."""

from __future__ import annotations

from api.schemas.base import Money, ResponseModel
from dispatch.rules.money.earnings import Cause, MonthlyEarnings


class EarningsByCause(ResponseModel):
    """The sum for one cause."""

    cause: Cause
    amount: Money


class EarningsMonth(ResponseModel):
    """What counts of a month (`2026-03`); what was reversed is in none of the sums but its own.

    `open` is what is not paid out yet. `hourly` is the pay for an hour of those jobs whose minutes
    the friend reported, null without any.
    """

    month: str
    total: Money
    open: Money
    by_cause: list[EarningsByCause]
    reversed: Money
    jobs: int
    minutes: int
    hourly: Money | None


class EarningsResponse(ResponseModel):
    """The months with earnings, newest first, in an IANA time zone."""

    timezone: str
    months: list[EarningsMonth]


def present_month(one: MonthlyEarnings) -> EarningsMonth:
    """The sums of a month. All is open: payouts are not made here yet."""

    def money(minor: int) -> Money:
        return Money(amount=minor, currency=one.currency)

    hourly = one.hourly_minor
    return EarningsMonth(
        month=one.month,
        total=money(one.total_minor),
        open=money(one.total_minor),
        by_cause=[
            EarningsByCause(cause=cause, amount=money(one.by_cause[cause]))
            for cause in Cause
            if cause in one.by_cause
        ],
        reversed=money(one.reversed_minor),
        jobs=one.jobs,
        minutes=one.minutes,
        hourly=None if hourly is None else money(hourly),
    )
