"""Who hears of an event on his stream, and how much of it.

The desk hears all of it. A customer and a partner hear of their own bookings, but of no friend. A
friend hears of his own offers and his own job; that others were asked he can guess, but not whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NewType
from uuid import UUID

from data.enums import Audience
from data.records.ids import BookingId, FriendId, PartnerId
from data.records.messages import Event

Listener = NewType("Listener", tuple[Audience, UUID | None])

DESK = Listener((Audience.DESK, None))
OFFER_MADE = "offer.made"
OFFER_GONE = "offer.gone"

ABOUT_FRIENDS = frozenset(
    {"friend", "friends", "offer", "offers", "award", "lost", "withdrawn", "share_minor"}
)
FOR_ITS_FRIEND = frozenset(
    {"award", "due_at", "starts_at", "ends_at", "revision", "stars"}
    | {"claimed", "wishes", "share_minor"}
)
# Event kind -> where its data name the friends whose offers are gone, and why they are.
GONE: Mapping[str, tuple[str, str]] = {
    "booking.awarded": ("lost", "lost"),
    "booking.cancelled": ("withdrawn", "withdrawn"),
    "offer.expired": ("friends", "expired"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one kind of listener hears of an event."""

    to: Listener
    kind: str
    data: Mapping[str, Any]


def customer_of(booking_id: BookingId) -> Listener:
    """Whoever holds the link of a booking."""
    return Listener((Audience.CUSTOMER, booking_id))


def partner(partner_id: PartnerId) -> Listener:
    """A partner's program."""
    return Listener((Audience.PARTNER, partner_id))


def friend(friend_id: FriendId) -> Listener:
    """A friend's phone."""
    return Listener((Audience.FRIEND, friend_id))


def heard(event: Event, partner_id: PartnerId | None) -> Iterator[Heard]:
    """Everybody who hears of `event`; `partner_id` is the partner of its booking."""
    yield Heard(to=DESK, kind=event.kind, data=event.data)
    public = without_friends(event.data)
    yield Heard(to=customer_of(event.booking_id), kind=event.kind, data=public)
    if partner_id is not None:
        yield Heard(to=partner(partner_id), kind=event.kind, data=public)
    yield from _by_friends(event)


def without_friends(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a customer or a partner may know of an event: everything but who the friends are."""
    return {name: value for name, value in data.items() if name not in ABOUT_FRIENDS}


def _by_friends(event: Event) -> Iterator[Heard]:
    if event.kind == "booking.offered":
        for offer in event.data["offers"]:
            yield _to(offer["friend"], OFFER_MADE, {"offer_id": offer["id"]})
        return
    if event.kind == "offer.declined":
        gone = {"offer_id": event.data["offer"], "because": "declined"}
        yield _to(event.data["friend"], OFFER_GONE, gone)
        return
    concerned = event.data.get("friend")
    if event.kind in GONE:
        names, because = GONE[event.kind]
        for one in event.data[names]:
            # One who had an offer and got the job by hand hears of the job alone.
            if one != concerned:
                yield _to(one, OFFER_GONE, {"because": because})
    if concerned is not None:
        his = {name: value for name, value in event.data.items() if name in FOR_ITS_FRIEND}
        yield _to(concerned, event.kind, his)


def _to(friend_id: str, kind: str, data: Mapping[str, Any]) -> Heard:
    return Heard(to=friend(FriendId(UUID(friend_id))), kind=kind, data=data)
