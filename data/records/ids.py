"""Identifiers, one type per table, and the ids that follow from others."""

from __future__ import annotations

from hashlib import sha256
from typing import NewType
from uuid import UUID

PersonId = NewType("PersonId", UUID)
FriendId = NewType("FriendId", UUID)
PartnerId = NewType("PartnerId", UUID)
BookingId = NewType("BookingId", UUID)
OfferId = NewType("OfferId", UUID)
AwardId = NewType("AwardId", UUID)
MessageId = NewType("MessageId", UUID)
CustomerKey = NewType("CustomerKey", str)


def derived_id(booking_id: UUID, *parts: object) -> UUID:
    """An id that follows from the booking's own and `parts`, so that a decision draws no chance.

    The first 48 bits are the booking's (its moment, when it is a UUIDv7), which keeps rows of one
    time together in an index; the rest is a hash. Version 8 of RFC 9562.
    """
    digest = sha256(booking_id.bytes + repr(parts).encode()).digest()
    raw = bytearray(booking_id.bytes[:6] + digest[:10])
    raw[6] = 0x80 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return UUID(bytes=bytes(raw))


def customer_key(email: str) -> CustomerKey:
    """The pseudonym under which a customer is known to blocks: a hash of her folded address."""
    return CustomerKey(sha256(email.strip().casefold().encode()).hexdigest())
