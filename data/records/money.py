"""Amounts of money and the charge of a booking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from data.markets import Currency
from data.records.ids import BookingId, CompanyId, FriendId


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units (Rappen, cents, groszy) of one currency."""

    amount: int
    currency: Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The final price for the customer and pay of the friend or their company; once per booking."""

    booking_id: BookingId
    friend_id: FriendId
    price: Money
    pay: Money
    at: datetime
    company: CompanyId | None = None
