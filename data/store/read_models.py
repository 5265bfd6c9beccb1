"""Read models: one statement per view, so that no page queries once per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import BookingState, Outcome, Tier, Wish
from data.markets import Currency, Language, Market
from data.records.decisions import Decision, Reach
from data.records.ids import BookingId, CustomerKey, FriendId, OfferId, PartnerId
from data.records.jobs import Award
from data.records.money import Money
from data.store import decision_rows
from data.store.jobs import award

sql = sql_loader.load("read_models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """The customer's personal data: for the friend who holds the job and the desk only."""

    name: str
    email: str
    phone: str | None
    street: str | None
    postcode: str | None
    city: str | None
    country: str | None
    lat: float | None
    lon: float | None
    notes: str | None
    spoken: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The friend who holds a booking, and the progress of the job."""

    id: FriendId
    name: str
    email: str | None
    language: Language | None
    languages: tuple[Language, ...]
    photo: UUID | None
    stars: float | None
    ratings: int
    award: Award


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """A booking as of `now`; lists leave out the customer's personal data and `asked_first`.

    That is the name of the favourite who is asked alone, and until when.
    """

    id: BookingId
    state: BookingState
    round: int
    package: str
    package_version: int
    package_name: str
    tier: Tier
    market: Market
    language: Language
    price: Money
    cancel_fee: Money
    live: int
    asked: int
    partner_id: PartnerId | None
    partner_reference: str | None
    wishes: tuple[Wish, ...]
    created_at: datetime
    now: datetime
    stars: int | None = None
    holder: Holder | None = None
    asked_first: tuple[str, datetime] | None = None
    customer: Contact | None = None
    move_note: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferView:
    """What a friend may see of an offer."""

    id: OfferId
    booking_id: BookingId
    package: str
    package_version: int
    tier: Tier
    round: int
    pay: Money
    cell_lat: float
    cell_lon: float
    cell_label: str
    shown_m: int
    for_you: bool
    wishes: tuple[Wish, ...]
    language: Language
    offered_at: datetime
    expires_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job a friend holds or has done; access to the customer's data is checked by the caller."""

    booking_id: BookingId
    award: Award
    state: BookingState
    package: str
    package_version: int
    pay: Money
    wishes: tuple[Wish, ...]
    language: Language
    move_note: str | None
    customer: Contact
    base: tuple[float, float] | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EarningView:
    """A charge from which a friend is paid; void once it is reversed."""

    booking_id: BookingId
    package: str
    package_version: int
    pay: Money
    cancel_fee_minor: int
    at: datetime
    reversed_at: datetime | None
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One event of a booking; `data` holds ids only."""

    seq: int
    kind: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLineView:
    """The outcome of one friend in one decision."""

    friend_id: FriendId
    ref: str
    outcome: Outcome
    distance_m: int
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """One fan-out: the friends considered and the outcome of each, and all in reach counted."""

    seq: int
    round: int
    tier: Tier
    at: datetime
    policy: str
    friends: tuple[DecisionLineView, ...]
    reach: Reach | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """The points of a friend, a booking and its cell, in degrees."""

    friend_id: FriendId
    ref: str
    friend: tuple[float, float]
    booking: tuple[float, float]
    cell: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeView:
    """The outcome of a friend in one decision, as that friend may see it."""

    booking_id: BookingId
    seq: int
    round: int
    at: datetime
    package: str
    outcome: Outcome


async def booking(
    tx: Connection,
    booking_id: BookingId,
    *,
    partner_id: PartnerId | None = None,
    friend_id: FriendId | None = None,
) -> BookingView | None:
    """Return a booking with its customer and friend; None if it belongs to another caller."""
    row = await tx.fetchrow(sql.booking, booking_id, partner_id, friend_id)
    return _booking(row, _contact(row)) if row else None


async def bookings(
    tx: Connection,
    *,
    partner_id: PartnerId | None,
    state: BookingState | None,
    partner_reference: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[BookingView]:
    """Return a page of bookings, newest first; `before` is the last one of the page before."""
    at, last = before or (None, None)
    named = (partner_id, state, partner_reference, at, last, limit)
    rows = await tx.fetch(sql.bookings, *named, None, None)
    return [_booking(row, None) for row in rows]


async def bookings_of_customer(
    tx: Connection,
    key: CustomerKey,
    *,
    ended: bool | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[BookingView]:
    """Return a page of a customer's bookings, newest first, of all partners."""
    rows = await tx.fetch(
        sql.bookings, None, None, None, *(before or (None, None)), limit, key, ended
    )
    return [_booking(row, None) for row in rows]


async def owner(tx: Connection, booking_id: BookingId) -> tuple[BookingId, PartnerId | None] | None:
    """Return the booking's id and its partner, or None if there is no such booking."""
    row = await tx.fetchrow(sql.owner, booking_id)
    return (BookingId(row["id"]), row["partner_id"]) if row else None


async def done_job(tx: Connection, booking_id: BookingId) -> tuple[CustomerKey, FriendId] | None:
    """Return the customer of a completed booking and its friend; None if it is not completed."""
    row = await tx.fetchrow(sql.done_job, booking_id)
    return (CustomerKey(row["customer_key"]), FriendId(row["friend_id"])) if row else None


async def events(
    tx: Connection, booking_id: BookingId, *, after: int, limit: int
) -> list[EventView]:
    """Return the events of a booking numbered above `after`."""
    rows = await tx.fetch(sql.events, booking_id, after, limit)
    return [EventView(**row) for row in rows]


async def decisions(tx: Connection, booking_id: BookingId) -> list[DecisionView]:
    """Return all fan-outs of a booking with one line for each friend in the frame."""
    return [_decision(row) for row in await tx.fetch(sql.decisions, booking_id)]


async def decided(tx: Connection, booking_id: BookingId) -> list[Decision]:
    """Return all fan-outs of a booking with what they were decided by."""
    return [decision_rows.decision(row) for row in await tx.fetch(sql.decided, booking_id)]


async def positions(tx: Connection, friend: str, booking_id: BookingId) -> Positions | None:
    """Return the points of a friend (by id or ref) and a booking; None if either is unknown."""
    row = await tx.fetchrow(sql.positions, friend, booking_id)
    if row is None:
        return None
    return Positions(
        friend_id=FriendId(row["id"]),
        ref=row["ref"],
        friend=(row["lat"], row["lon"]),
        booking=(row["booking_lat"], row["booking_lon"]),
        cell=(row["cell_lat"], row["cell_lon"]),
    )


async def offers(tx: Connection, friend_id: FriendId) -> list[OfferView]:
    """Return the friend's live and unexpired offers, the first to expire first."""
    return [offer(row) for row in await tx.fetch(sql.offers, friend_id)]


async def jobs(
    tx: Connection,
    friend_id: FriendId,
    *,
    state: BookingState | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[JobView]:
    """Return a page of the friend's jobs, newest first."""
    at, last = before or (None, None)
    return [job(row) for row in await tx.fetch(sql.jobs, friend_id, state, at, last, limit)]


async def earnings(
    tx: Connection, friend_id: FriendId, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[EarningView]:
    """Return a page of what a friend was paid for, newest first."""
    at, last = before or (None, None)
    return [_earning(row) for row in await tx.fetch(sql.earnings, friend_id, at, last, limit)]


async def customers(tx: Connection, booking_ids: Sequence[BookingId]) -> dict[BookingId, Contact]:
    """Return the customers of bookings."""
    rows = await tx.fetch(sql.customers, booking_ids)
    return {BookingId(row["id"]): _contact(row) for row in rows}


async def customer_links(
    tx: Connection, booking_ids: Sequence[BookingId]
) -> dict[BookingId, tuple[int, CustomerKey]]:
    """Return the generation of the customers' links of these bookings, and whose they are."""
    rows = await tx.fetch(sql.customer_links, booking_ids)
    return {BookingId(row["id"]): (row["link_generation"], row["customer_key"]) for row in rows}


async def outcomes(
    tx: Connection, friend_id: FriendId, *, before: tuple[UUID, int] | None, limit: int
) -> list[OutcomeView]:
    """Return a friend's outcomes in all decisions that considered them, newest booking first."""
    last, seq = before or (None, None)
    rows = await tx.fetch(sql.outcomes, friend_id, last, seq, limit)
    return [OutcomeView(**{**row, "outcome": Outcome(row["outcome"])}) for row in rows]


def _booking(row: asyncpg.Record, customer: Contact | None) -> BookingView:
    currency = Currency(row["currency"])
    return BookingView(
        id=BookingId(row["id"]),
        state=BookingState(row["state"]),
        round=row["round"],
        package=row["package"],
        package_version=row["package_version"],
        package_name=row["package_name"],
        tier=Tier(row["tier"]),
        market=Market(row["market"]),
        language=Language(row["language"]),
        price=Money(amount=row["price_minor"], currency=currency),
        cancel_fee=Money(amount=row["cancel_fee_minor"], currency=currency),
        live=row["live"],
        asked=row["asked"],
        partner_id=row["partner_id"],
        partner_reference=row["partner_reference"],
        wishes=tuple(map(Wish, row["wishes"])),
        created_at=row["created_at"],
        now=row["now"],
        stars=row["stars"],
        holder=_holder(row) if row["friend_id"] else None,
        asked_first=(row["first_name"], row["first_until"]) if row.get("first_until") else None,
        customer=customer,
        move_note=row.get("move_note"),
        signature=row.get("signature"),
    )


def _holder(row: asyncpg.Record) -> Holder:
    language = row.get("friend_language")
    return Holder(
        id=FriendId(row["friend_id"]),
        name=row["friend_name"],
        email=row.get("friend_email"),
        language=Language(language) if language else None,
        languages=tuple(map(Language, row["friend_languages"])),
        photo=row["friend_photo"],
        stars=row["friend_stars"],
        ratings=row["friend_ratings"],
        award=award(row["award"]),
    )


def _contact(row: asyncpg.Record) -> Contact:
    fields = {field: row[field] for field in Contact.__slots__}
    return Contact(**fields | {"spoken": Language(row["spoken"])})


def offer(row: asyncpg.Record) -> OfferView:
    """Build an offer as its friend may see it, from its row."""
    return OfferView(
        id=OfferId(row["id"]),
        booking_id=BookingId(row["booking_id"]),
        package=row["package"],
        package_version=row["package_version"],
        tier=Tier(row["tier"]),
        round=row["round"],
        pay=Money(amount=row["pay_minor"], currency=Currency(row["currency"])),
        cell_lat=row["cell_lat"],
        cell_lon=row["cell_lon"],
        cell_label=row["cell_label"],
        shown_m=row["shown_m"],
        for_you=row["for_you"],
        wishes=tuple(map(Wish, row["wishes"])),
        language=Language(row["language"]),
        offered_at=row["offered_at"],
        expires_at=row["expires_at"],
        now=row["now"],
    )


def job(row: asyncpg.Record) -> JobView:
    return JobView(
        booking_id=BookingId(row["booking_id"]),
        award=award(row["award"]),
        state=BookingState(row["state"]),
        package=row["package"],
        package_version=row["package_version"],
        pay=Money(amount=row["pay_minor"], currency=Currency(row["currency"])),
        wishes=tuple(map(Wish, row["wishes"])),
        language=Language(row["language"]),
        move_note=row["move_note"],
        customer=_contact(row),
        base=None if row["base_lat"] is None else (row["base_lat"], row["base_lon"]),
        now=row["now"],
    )


def _earning(row: asyncpg.Record) -> EarningView:
    return EarningView(
        booking_id=BookingId(row["booking_id"]),
        package=row["package"],
        package_version=row["package_version"],
        pay=Money(amount=row["pay_minor"], currency=Currency(row["currency"])),
        cancel_fee_minor=row["cancel_fee_minor"],
        at=row["at"],
        reversed_at=row["reversed_at"],
        language=Language(row["language"]),
    )


def _decision(row: asyncpg.Record) -> DecisionView:
    columns = (row["friend_ids"], row["refs"], row["outcomes"], row["distances_m"], row["ranks"])
    return DecisionView(
        seq=row["seq"],
        round=row["round"],
        tier=Tier(row["tier"]),
        at=row["at"],
        policy=row["policy"],
        reach=decision_rows.reach(row),
        friends=tuple(
            DecisionLineView(
                friend_id=friend,
                ref=ref,
                outcome=Outcome(outcome),
                distance_m=away_m,
                rank=rank or None,
            )
            for friend, ref, outcome, away_m, rank in zip(*columns, strict=True)
        ),
    )
