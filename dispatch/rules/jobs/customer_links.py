"""Customer links: a token that names a booking and proves that we issued it."""

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


def customer_token(secret: bytes, booking_id: BookingId) -> str:
    """The booking's id and its HMAC-SHA256 under `secret`, 65 characters that fit into a URL."""
    mac = hmac.new(secret, PURPOSE + booking_id.bytes, sha256).digest()
    return _encode(booking_id.bytes) + _encode(mac)


def is_customer_token_valid(secret: bytes, booking_id: BookingId, token: str) -> bool:
    """Whether `token` is the one of this booking; takes the same time whatever is wrong."""
    return hmac.compare_digest(customer_token(secret, booking_id).encode(), token.encode())


def booking_of_token(secret: bytes, token: str) -> BookingId | None:
    """The booking of a token, or None for a token that we did not issue."""
    if len(token) != ID_LENGTH + MAC_LENGTH or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token[:ID_LENGTH] + "==")
    except (NotBase64, ValueError):
        return None
    if len(raw) != 16:
        return None
    booking_id = BookingId(UUID(bytes=raw))
    return booking_id if is_customer_token_valid(secret, booking_id, token) else None


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
