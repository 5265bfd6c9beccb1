"""The data of a message, read when it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from data import sql_loader
from data.db import Connection
from data.enums import AwardState, BookingState, OfferState
from data.markets import HOME, Currency, Language, Market
from data.records.ids import MessageId, OfferId
from data.records.jobs import Appointment
from data.records.money import Money
from data.store.push_subscriptions import PushSubscription, push_subscription

sql = sql_loader.load("mail_context")

SUBSCRIPTION_COLUMNS = ("id", "endpoint", "p256dh", "auth", "created_at", "rung_at", "problem")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentOffer:
    """The current state of a message's offer; `shown_m` is the distance its friend may see."""

    id: OfferId
    state: OfferState
    shown_m: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestAward:
    """The latest award of the booking to the friend of the event."""

    state: AwardState
    contact_due_at: datetime
    contacted_at: datetime | None
    appointment: Appointment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContext:
    """A message's booking, recipient and friend, with the data of its event.

    `since` is when its event happened. `email` is None once the recipient's data is erased;
    `address` is the customer's own.
    `push_subscriptions` are those of the recipient, for a push message only.
    """

    now: datetime
    since: datetime
    package: str
    package_version: int
    market: Market
    state: BookingState
    area: str
    price: Money
    pay: Money
    event_data: Mapping[str, Any]
    email: str | None
    push_subscriptions: tuple[PushSubscription, ...]
    language: Language
    address: str
    asked: int
    link_generation: int
    friend_name: str | None
    offer: CurrentOffer | None
    award: LatestAward | None
    unread: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonContext:
    """The recipient of a message about a person, with the data of its entry of the journal.

    `email` is None once the recipient's data is erased; `certificate` is the name, in the language
    of the recipient, of the one that the entry names; `reasons` are those of the answer to its
    request.
    """

    now: datetime
    market: Market
    entry_data: Mapping[str, Any]
    email: str | None
    language: Language
    certificate: str | None
    reasons: str | None


Context = MessageContext | PersonContext


async def person_contexts(
    tx: Connection, ids: Sequence[MessageId]
) -> Mapping[MessageId, PersonContext]:
    """Return the contexts of these messages about people, as of now."""
    if not ids:
        return {}
    return {
        MessageId(row["id"]): PersonContext(
            now=row["now"],
            market=Market(row["market"] or HOME),
            entry_data=row["data"],
            email=row["email"],
            language=Language(row["language"]),
            certificate=row["certificate"],
            reasons=row["reasons"],
        )
        for row in await tx.fetch(sql.person_contexts, ids)
    }


async def message_contexts(
    tx: Connection, ids: Sequence[MessageId]
) -> Mapping[MessageId, MessageContext]:
    """Return the contexts of these messages, as of now."""
    if not ids:
        return {}
    rows = await tx.fetch(sql.message_contexts, ids)
    return {MessageId(row["id"]): _message_context(row) for row in rows}


def _message_context(row: asyncpg.Record) -> MessageContext:
    market, currency = Market(row["market"]), Currency(row["currency"])
    return MessageContext(
        now=row["now"],
        since=row["since"],
        package=row["package"],
        package_version=row["package_version"],
        market=market,
        state=BookingState(row["state"]),
        area=row["cell_label"],
        price=Money(amount=row["price_minor"], currency=currency),
        pay=Money(amount=row["pay_minor"], currency=currency),
        event_data=row["event_data"] or {},
        email=row["email"] or None,
        push_subscriptions=_subscriptions(row),
        language=Language(row["language"] or Language.EN),
        address=row["address"] or "",
        asked=row["asked"],
        link_generation=row["link_generation"],
        friend_name=row["friend_name"],
        offer=_offer(row),
        award=_award(row),
        unread=bool(row["unread"]),
    )


def _subscriptions(row: asyncpg.Record) -> tuple[PushSubscription, ...]:
    columns = [row[f"phone_{name}"] or () for name in SUBSCRIPTION_COLUMNS]
    return tuple(
        push_subscription(dict(zip(SUBSCRIPTION_COLUMNS, one, strict=True)))
        for one in zip(*columns, strict=True)
    )


def _offer(row: asyncpg.Record) -> CurrentOffer | None:
    if row["offer_id"] is None:
        return None
    return CurrentOffer(
        id=OfferId(row["offer_id"]),
        state=OfferState(row["offer_state"]),
        shown_m=row["shown_m"],
        expires_at=row["expires_at"],
    )


def _award(row: asyncpg.Record) -> LatestAward | None:
    if row["award_state"] is None:
        return None
    appointment = None
    if row["starts_at"] is not None:
        appointment = Appointment(
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            revision=row["appointment_revision"],
        )
    return LatestAward(
        state=AwardState(row["award_state"]),
        contact_due_at=row["contact_due_at"],
        contacted_at=row["contacted_at"],
        appointment=appointment,
    )
