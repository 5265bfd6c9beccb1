"""Who is told what: each event kind and the messages it calls for.

Messages carry ids only. Whoever delivers them looks up the rest at that moment, so that a late
message cannot tell what its reader may no longer know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from data.records import Audience, Booking, Channel, Event, Message, MessageId, derived_id

CUSTOMER = UUID(int=0)
"""Stands in a line for the booking's own customer, whoever she is."""

Readers = Callable[[Mapping[str, Any]], Iterator[tuple[UUID, Mapping[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of message: its template, its channel and who reads it."""

    template: str
    audience: Audience
    channel: Channel
    readers: Readers


def _each_offer(data: Mapping[str, Any]) -> Iterator[tuple[UUID, Mapping[str, Any]]]:
    for offer in data["offers"]:
        yield UUID(offer["friend"]), {"offer": offer["id"], "expires_at": offer["expires_at"]}


def _friends(key: str) -> Readers:
    def read(data: Mapping[str, Any]) -> Iterator[tuple[UUID, Mapping[str, Any]]]:
        for friend in data.get(key, ()):
            yield UUID(friend), {}

    return read


def _friend(data: Mapping[str, Any]) -> Iterator[tuple[UUID, Mapping[str, Any]]]:
    if data.get("friend"):
        yield UUID(data["friend"]), {k: v for k, v in data.items() if k in ("award", "due_at")}


def _to_phone(template: str, readers: Readers) -> Line:
    return Line(template, Audience.FRIEND, Channel.PUSH, readers)


def _to_friend(template: str) -> Line:
    return Line(template, Audience.FRIEND, Channel.MAIL, _friend)


def _to_customer(template: str, *, only_with_friend: bool = False) -> Line:
    def read(data: Mapping[str, Any]) -> Iterator[tuple[UUID, Mapping[str, Any]]]:
        if data.get("friend") or not only_with_friend:
            yield CUSTOMER, {}

    return Line(template, Audience.CUSTOMER, Channel.MAIL, read)


NEWS: Mapping[str, tuple[Line, ...]] = {
    "booking.created": (_to_customer("booked"),),
    "booking.offered": (_to_phone("offer", _each_offer),),
    "booking.escalated": (),
    "booking.unfilled": (_to_customer("unfilled"),),
    "booking.redispatched": (
        _to_friend("job_cancelled"),
        _to_customer("friend_changed", only_with_friend=True),
    ),
    "booking.awarded": (
        _to_friend("awarded"),
        _to_phone("offer_gone", _friends("lost")),
        _to_customer("friend_found"),
    ),
    "booking.contacted": (_to_customer("contacted"),),
    "booking.scheduled": (_to_friend("appointment"), _to_customer("appointment")),
    "booking.started": (_to_customer("started"),),
    "booking.completed": (_to_customer("completed"),),
    "booking.incomplete": (_to_customer("incomplete"),),
    "booking.cancelled": (
        _to_phone("offer_withdrawn", _friends("withdrawn")),
        _to_friend("job_cancelled"),
        _to_customer("cancelled"),
    ),
    "booking.rated": (_to_friend("rated"),),
    "booking.handed_back": (_to_customer("friend_changed"),),
    "offer.declined": (),
    "offer.expired": (),
    "contact.reminded": (_to_phone("contact_reminder", _friend),),
    "contact.missed": (_to_phone("contact_missed", _friend), _to_customer("friend_changed")),
}


def messages(booking: Booking, event: Event) -> Iterator[Message]:
    """The messages that `event` calls for; an event kind without a line in NEWS is a KeyError."""
    for line in NEWS[event.kind]:
        for reader, data in line.readers(event.data):
            recipient = booking.customer_id if reader == CUSTOMER else reader
            expires_at = data.get("expires_at")
            yield Message(
                id=MessageId(derived_id(booking.id, event.seq, line.template, str(recipient))),
                booking_id=booking.id,
                seq=event.seq,
                channel=line.channel,
                audience=line.audience,
                recipient_id=recipient,
                template=line.template,
                data={k: v for k, v in data.items() if k != "expires_at"},
                expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
            )
