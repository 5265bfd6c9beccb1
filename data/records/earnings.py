"""What a friend was paid, summed or line by line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from data.markets import Currency, Language
from data.records.ids import BookingId


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningSum:
    """The charges of a month that are alike; `timed_minor` is the pay of those with `minutes`.

    `for_fee` are those of bookings that were cancelled for a fee."""

    month: str
    currency: Currency
    for_fee: bool
    is_reversed: bool
    charges: int
    pay_minor: int
    minutes: int
    timed_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningLine:
    """One charge of a month; `minutes` are those that the friend reported."""

    booking_id: BookingId
    package: str
    package_version: int
    language: Language
    at: datetime
    pay_minor: int
    currency: Currency
    cancel_fee_minor: int
    reversed_at: datetime | None
    minutes: int | None
