"""Customer links: a token that names a booking and proves that we issued it.

A booking counts generations of its links: with a new one the tokens issued before are invalid.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import sha256
from uuid import UUID

from data.records.ids import BookingId

ID_LENGTH = 22
MAC_LENGTH = 43
PURPOSE = b"tekkie customer link 1:"


def customer_token(secret: bytes, booking_id: BookingId, generation: int = 0) -> str:
    """The booking's id and its HMAC-SHA256 under `secret`, 65 characters that fit into a URL."""
    signed = booking_id.bytes + (generation.to_bytes(4) if generation else b"")
    mac = hmac.new(secret, PURPOSE + signed, sha256).digest()
    return _encode(booking_id.bytes) + _encode(mac)


def is_customer_token_valid(
    secret: bytes, booking_id: BookingId, token: str, generation: int = 0
) -> bool:
    """Whether `token` is the one of this booking; takes the same time whatever is wrong."""
    issued = customer_token(secret, booking_id, generation)
    return hmac.compare_digest(issued.encode(), token.encode())


def named_booking(token: str) -> BookingId | None:
    """The booking that a token names, valid or not; None for a text that is no token."""
    if len(token) != ID_LENGTH + MAC_LENGTH or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token[:ID_LENGTH] + "==")
    except (NotBase64, ValueError):
        return None
    if len(raw) != 16:
        return None
    return BookingId(UUID(bytes=raw))


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
