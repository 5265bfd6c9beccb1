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

from data.enums import Audience, Channel
from data.records.ids import MessageId, derived_id
from data.records.jobs import Booking
from data.records.messages import Event, Message

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


def _only(readers: Readers, when: Callable[[Mapping[str, Any]], bool]) -> Readers:
    def read(data: Mapping[str, Any]) -> Iterator[tuple[UUID, Mapping[str, Any]]]:
        if when(data):
            yield from readers(data)

    return read


def _had_friend(data: Mapping[str, Any]) -> bool:
    return bool(data.get("friend"))


def _costs(data: Mapping[str, Any]) -> bool:
    return bool(data.get("fee_minor"))


def _free(data: Mapping[str, Any]) -> bool:
    return not _costs(data)


def _unclaimed(data: Mapping[str, Any]) -> bool:
    return not data["claimed"]


def _customer(data: Mapping[str, Any]) -> Iterator[tuple[UUID, Mapping[str, Any]]]:
    yield CUSTOMER, {}


def _to_phone(template: str, readers: Readers) -> Line:
    return Line(template, Audience.FRIEND, Channel.PUSH, readers)


def _to_friend(template: str, readers: Readers = _friend) -> Line:
    return Line(template, Audience.FRIEND, Channel.MAIL, readers)


def _to_customer(template: str, readers: Readers = _customer) -> Line:
    return Line(template, Audience.CUSTOMER, Channel.MAIL, readers)


NEWS: Mapping[str, tuple[Line, ...]] = {
    "booking.created": (_to_customer("booked"),),
    "booking.offered": (_to_phone("offer", _each_offer),),
    "booking.escalated": (),
    "booking.unfilled": (_to_customer("unfilled"),),
    "booking.redispatched": (
        _to_friend("job_cancelled"),
        _to_customer("friend_changed", _only(_customer, _had_friend)),
    ),
    "booking.awarded": (
        _to_friend("awarded"),
        _to_phone("offer_gone", _friends("lost")),
        _to_customer("friend_found"),
    ),
    "booking.contacted": (_to_customer("contacted"),),
    "booking.scheduled": (_to_friend("appointment"), _to_customer("appointment")),
    "booking.on_the_way": (_to_customer("on_the_way"),),
    "booking.started": (_to_customer("started"),),
    "booking.completed": (_to_customer("completed"),),
    "booking.incomplete": (_to_customer("incomplete"),),
    "booking.cancelled": (
        _to_phone("offer_withdrawn", _friends("withdrawn")),
        _to_friend("job_cancelled", _only(_friend, _free)),
        _to_friend("job_cancelled_late", _only(_friend, _costs)),
        _to_customer("cancelled", _only(_customer, _free)),
        _to_customer("cancelled_late", _only(_customer, _costs)),
    ),
    "booking.rated": (_to_friend("rated"),),
    "booking.handed_back": (_to_customer("friend_changed"),),
    "appointment.move_asked": (_to_phone("move_asked", _friend),),
    "contact.disputed": (_to_phone("customer_waits", _only(_friend, _unclaimed)),),
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
