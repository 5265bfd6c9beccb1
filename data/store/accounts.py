"""Accounts of customers: one person over the bookings with one confirmed mail address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.markets import Language
from data.records.ids import BookingId, CustomerKey, PersonId

sql = sql_loader.load("accounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a customer keeps in the account: the person, and the address of the next booking."""

    name: str
    email: str
    phone: str | None
    language: Language
    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    confirmed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Favourite:
    """A friend to ask first again, with the last job of theirs and how many there were."""

    name: str
    booking_id: BookingId
    ended_at: datetime
    jobs: int


async def find_customer(tx: Connection, key: CustomerKey) -> asyncpg.Record | None:
    """Find the person of an address: the account, else the customer of a booking."""
    return await tx.fetchrow(sql.find_customer, key)


async def open_account(tx: Connection, new_id: PersonId, customer: PersonId) -> PersonId | None:
    """Return the account of the customer of a booking, made if there is none; None if erased."""
    await tx.execute(sql.lock, customer)
    found: UUID | None = await tx.fetchval(sql.open, new_id, customer)
    return PersonId(found) if found else None


async def details(tx: Connection, account_id: PersonId) -> Details | None:
    """Return the details of an account; None if it was erased."""
    row = await tx.fetchrow(sql.details, account_id)
    return Details(**{**row, "language": Language(row["language"])}) if row else None


async def change(tx: Connection, account_id: PersonId, details: Details) -> bool:
    """Replace what the customer may change; False if the account was erased."""
    row = (details.name, details.phone, details.language, details.street, details.postcode)
    changed = await tx.fetchval(sql.change, account_id, *row, details.city, details.country)
    return changed is not None


async def add_favourite(tx: Connection, booking_id: BookingId) -> bool:
    """Make the friend of a completed booking a favourite; False if it is not completed."""
    return await tx.fetchval(sql.add_favourite, booking_id) is not None


async def remove_favourite(tx: Connection, booking_id: BookingId) -> None:
    """Remove the friend of a booking from the customer's favourites."""
    await tx.execute(sql.remove_favourite, booking_id)


async def favourites(tx: Connection, key: CustomerKey) -> list[Favourite]:
    """Return the customer's favourites, the last visit first."""
    return [Favourite(**row) for row in await tx.fetch(sql.favourites, key)]
