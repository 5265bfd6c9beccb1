"""Quotes: prices that hold for a limited time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.markets import Currency, Market
from data.records.ids import PartnerId
from data.records.money import Money

sql = sql_loader.load("quotes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price for one package in one market, valid until `expires_at`; holds no address."""

    id: UUID
    package: str
    market: Market
    partner_id: PartnerId | None
    price: Money
    created_at: datetime
    expires_at: datetime


async def insert(
    tx: Connection,
    *,
    quote_id: UUID,
    package: str,
    market: Market,
    price: Money,
    partner_id: PartnerId | None,
    lifetime: timedelta,
) -> Quote:
    """Store a quote valid for `lifetime` from now."""
    row = await tx.fetchrow(
        sql.insert, quote_id, package, market, partner_id, price.amount, price.currency, lifetime
    )
    assert row is not None
    return _quote(row)


async def find(tx: Connection, quote_id: UUID) -> Quote | None:
    """Find a quote by id, expired or not."""
    row = await tx.fetchrow(sql.find, quote_id)
    return _quote(row) if row else None


async def delete_old(tx: Connection) -> None:
    """Delete at most a thousand quotes that expired a week ago."""
    await tx.execute(sql.delete_old)


def _quote(row: asyncpg.Record) -> Quote:
    return Quote(
        id=row["id"],
        package=row["package"],
        market=Market(row["market"]),
        partner_id=row["partner_id"],
        price=Money(amount=row["price_minor"], currency=Currency(row["currency"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
