"""What a friend has earned: for jobs, and as compensation; summed by month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from data.markets import Currency
from data.records.earnings import EarningSum

AN_HOUR: Final = 60


class Cause(StrEnum):
    """What a friend is paid for."""

    JOB = "job"
    LATE_CANCEL = "late_cancel"


def cause_of_charge(cancel_fee_minor: int, *, reversed_: bool) -> Cause:
    """What a charge pays: the last one of a booking with a cancellation fee is for that."""
    return Cause.LATE_CANCEL if cancel_fee_minor and not reversed_ else Cause.JOB


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyEarnings:
    """What counts of a month (`2026-03`, local time), by cause; what is reversed stands apart."""

    month: str
    currency: Currency
    by_cause: Mapping[Cause, int]
    reversed_minor: int
    jobs: int
    minutes: int
    timed_minor: int

    @property
    def total_minor(self) -> int:
        """The sum of what counts."""
        return sum(self.by_cause.values())

    @property
    def hourly_minor(self) -> int | None:
        """The pay for an hour of the jobs whose minutes are known, rounded down; None without."""
        return self.timed_minor * AN_HOUR // self.minutes if self.minutes else None


def by_month(sums: Iterable[EarningSum]) -> list[MonthlyEarnings]:
    """The months, newest first; one with two currencies is there twice."""
    ordered = sorted(sums, key=_month, reverse=True)
    return [_add(month, currency, list(of)) for (month, currency), of in groupby(ordered, _month)]


def _month(one: EarningSum) -> tuple[str, Currency]:
    return one.month, one.currency


def _add(month: str, currency: Currency, sums: list[EarningSum]) -> MonthlyEarnings:
    by_cause: dict[Cause, int] = {}
    standing = [one for one in sums if not one.is_reversed]
    for one in standing:
        cause = cause_of_charge(one.for_fee, reversed_=False)
        by_cause[cause] = by_cause.get(cause, 0) + one.pay_minor
    return MonthlyEarnings(
        month=month,
        currency=currency,
        by_cause=by_cause,
        reversed_minor=sum(one.pay_minor for one in sums if one.is_reversed),
        jobs=sum(one.charges for one in standing if not one.for_fee),
        minutes=sum(one.minutes for one in standing),
        timed_minor=sum(one.timed_minor for one in standing),
    )
