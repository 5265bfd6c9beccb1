"""Identifiers, one type per table, and derived ids."""

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
CompanyId = NewType("CompanyId", UUID)
FileId = NewType("FileId", UUID)
CustomerKey = NewType("CustomerKey", str)
QuotaKey = tuple[str, str]
"""What uses are counted by: a kind and a hash."""


def derived_id(booking_id: UUID, *parts: object) -> UUID:
    """Return an id derived from the booking's id and `parts`, so that decisions need no randomness.

    The first 48 bits are the booking's (its timestamp, if it is a UUIDv7), which keeps rows of the
    same time together in an index; the rest is a hash. Version 8 of RFC 9562.
    """
    digest = sha256(booking_id.bytes + repr(parts).encode()).digest()
    raw = bytearray(booking_id.bytes[:6] + digest[:10])
    raw[6] = 0x80 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return UUID(bytes=bytes(raw))


def contact_key(customer: CustomerKey, phone: str | None) -> str:
    """Return the pseudonym of a mail address and telephone number, as SQL's `contact_key` does."""
    return sha256((customer + (phone or "")).encode()).hexdigest()


def customer_key(email: str) -> CustomerKey:
    """Return the pseudonym of a customer in blocks: a hash of the case-folded e-mail address."""
    return CustomerKey(sha256(email.strip().casefold().encode()).hexdigest())
