"""Which audiences see an event on their streams, and which part of its data.

The desk sees all of it. A customer and a partner see their own bookings, but no friend. A friend
sees their own offers and jobs; that others were asked can be guessed, but not who. A company learns
that something happened to one of its offers or jobs, and reads its board again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NewType
from uuid import UUID

from data.enums import Audience
from data.records.ids import BookingId, CompanyId, FriendId, PartnerId
from data.records.messages import Event
from dispatch.rules.jobs.events import seen_by

Subscriber = NewType("Subscriber", tuple[Audience, UUID | None])

DESK: Final = Subscriber((Audience.DESK, None))
OFFER_MADE: Final = "offer.made"
MESSAGE_SENT: Final = "message.sent"
"""A message of a thread, without its words: no event of the booking, and for the two alone."""
OFFER_GONE: Final = "offer.gone"
# Event kind -> the field that names the friends whose offers are gone, and why they are.
GONE: Final[Mapping[str, tuple[str, str]]] = {
    "booking.awarded": ("lost", "lost"),
    "booking.cancelled": ("withdrawn", "withdrawn"),
    "offer.expired": ("friends", "expired"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleEvent:
    """The part of an event that one kind of subscriber sees."""

    to: Subscriber
    kind: str
    data: Mapping[str, Any]


REASSIGNED: Final = "booking.reassigned"
LINK_RENEWED: Final = "link.renewed"
"""The event after which a customer's links of before are invalid."""


def customer_of(booking_id: BookingId) -> Subscriber:
    """Everybody who holds the customer link of a booking."""
    return Subscriber((Audience.CUSTOMER, booking_id))


def partner(partner_id: PartnerId) -> Subscriber:
    """A partner's program."""
    return Subscriber((Audience.PARTNER, partner_id))


def friend(friend_id: FriendId) -> Subscriber:
    """A friend's phone."""
    return Subscriber((Audience.FRIEND, friend_id))


def company(company_id: CompanyId) -> Subscriber:
    """The board of a company's dispatchers."""
    return Subscriber((Audience.COMPANY, company_id))


def visible_events(event: Event, partner_id: PartnerId | None) -> Iterator[VisibleEvent]:
    """What each audience sees of `event`; `partner_id` is the partner of its booking."""
    if event.kind == MESSAGE_SENT:
        yield VisibleEvent(to=customer_of(event.booking_id), kind=event.kind, data={})
        yield _to(event.data["friend"], event.kind, {})
        return
    yield VisibleEvent(to=DESK, kind=event.kind, data=event.data)
    public = public_data(event.data)
    yield VisibleEvent(to=customer_of(event.booking_id), kind=event.kind, data=public)
    if partner_id is not None:
        yield VisibleEvent(to=partner(partner_id), kind=event.kind, data=public)
    yield from _to_friends(event)
    for one in _companies(event.data):
        yield VisibleEvent(to=company(one), kind=event.kind, data={})


def _companies(data: Mapping[str, Any]) -> set[CompanyId]:
    """The companies that are asked, hold the job or had an offer that is gone."""
    asked = [offer["company"] for offer in data.get("offers", ()) if "company" in offer]
    named = [data["company"]] if data.get("company") else []
    return {CompanyId(UUID(one)) for one in (*asked, *named, *data.get("companies", ()))}


def public_data(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a customer or a partner may see of an event."""
    return seen_by(Audience.CUSTOMER, data)


def _to_friends(event: Event) -> Iterator[VisibleEvent]:
    if event.kind == "booking.offered":
        for offer in event.data["offers"]:
            if "company" not in offer:
                yield _to(offer["friend"], OFFER_MADE, {"offer_id": offer["id"]})
    elif event.kind == "offer.declined":
        if "company" not in event.data:
            gone = {"offer_id": event.data["offer"], "because": "declined"}
            yield _to(event.data["friend"], OFFER_GONE, gone)
    else:
        yield from _to_concerned(event)


def _to_concerned(event: Event) -> Iterator[VisibleEvent]:
    concerned = event.data.get("friend")
    if event.kind in GONE:
        field, because = GONE[event.kind]
        for one in event.data[field]:
            # A friend who had an offer and got the job by hand sees the job alone.
            if one != concerned:
                yield _to(one, OFFER_GONE, {"because": because})
    if event.kind == REASSIGNED:
        yield _to(event.data["before"], event.kind, {})
    if concerned is not None:
        yield _to(concerned, event.kind, seen_by(Audience.FRIEND, event.data))


def _to(friend_id: str, kind: str, data: Mapping[str, Any]) -> VisibleEvent:
    return VisibleEvent(to=friend(FriendId(UUID(friend_id))), kind=kind, data=data)
