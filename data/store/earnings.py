"""What a friend was paid, by month of the local time of their market."""

from __future__ import annotations

from data import sql_loader
from data.db import Connection
from data.markets import Currency, Language, Market
from data.records.earnings import EarningLine, EarningSum
from data.records.ids import BookingId, FriendId

sql = sql_loader.load("earnings")


async def market(tx: Connection, friend_id: FriendId) -> Market:
    """Return the market of a friend."""
    return Market(await tx.fetchval(sql.market, friend_id))


async def by_month(tx: Connection, friend_id: FriendId, timezone: str) -> list[EarningSum]:
    """Return what a friend was paid in each month of a time zone, the like summed."""
    return [
        EarningSum(**{**row, "currency": Currency(row["currency"])})
        for row in await tx.fetch(sql.by_month, friend_id, timezone)
    ]


async def in_month(
    tx: Connection, friend_id: FriendId, timezone: str, month: str
) -> list[EarningLine]:
    """Return what a friend was paid in a month (`2026-03`), the oldest first."""
    return [
        EarningLine(
            booking_id=BookingId(row["booking_id"]),
            package=row["package"],
            package_version=row["package_version"],
            language=Language(row["language"]),
            at=row["at"],
            pay_minor=row["pay_minor"],
            currency=Currency(row["currency"]),
            cancel_fee_minor=row["cancel_fee_minor"],
            reversed_at=row["reversed_at"],
            minutes=row["worked_minutes"],
        )
        for row in await tx.fetch(sql.in_month, friend_id, timezone, month)
    ]
