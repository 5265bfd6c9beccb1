"""The code and the link by which a customer confirms the mail address of a booking.

Both are derived from the booking and the key of the service, so that neither is stored.
"""

from __future__ import annotations

import hmac
from enum import Enum, auto
from hashlib import sha256
from typing import Final

from data.records.ids import BookingId

DIGITS: Final = 6
TOKEN_LENGTH: Final = 32
PURPOSE: Final = b"tekkie confirmation 1:"


class Proof(Enum):
    """What a code proves: the link of the letter, its six digits, or nothing."""

    LINK = auto()
    CODE = auto()
    NONE = auto()


def code(secret: bytes, booking_id: BookingId) -> str:
    """The code of a booking, six digits."""
    return f"{int.from_bytes(_mac(secret, booking_id, b'code')) % 10**DIGITS:0{DIGITS}}"


def link_token(secret: bytes, booking_id: BookingId) -> str:
    """What the link of the letter carries, 32 hexadecimal digits."""
    return _mac(secret, booking_id, b"link").hex()[:TOKEN_LENGTH]


def proof(secret: bytes, booking_id: BookingId, given: str) -> Proof:
    """What `given` proves; takes the same time whatever is wrong."""
    by_link = hmac.compare_digest(link_token(secret, booking_id).encode(), given.encode())
    by_code = hmac.compare_digest(code(secret, booking_id).encode(), given.encode())
    return Proof.LINK if by_link else Proof.CODE if by_code else Proof.NONE


def _mac(secret: bytes, booking_id: BookingId, part: bytes) -> bytes:
    return hmac.new(secret, PURPOSE + part + booking_id.bytes, sha256).digest()
